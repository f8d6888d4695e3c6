// What is tried on a share of the requests beside production: whose it answers, what labels say, when it ends.

import { badge, facts, h } from "../parts/dom.js";
import { ago, count, dated, percent, tone, words } from "../parts/format.js";
import { about, drawEvidence, evidenceFacts } from "./probation.js";

/** Nothing where no version is tried. */
export function drawCanary(canary, versions) {
  if (!canary) return null;
  const { version, against, verdict, probation: seen } = canary;
  const isLabelled = seen !== null && seen.labels > 0;
  return h("section", { class: "probation", "aria-label": "Canary" },
    h("div", { class: "row wrap" }, h("b", {}, `Version ${version} is tried beside ${against}`), h("span", { class: "push" }), badge(words(verdict), tone(verdict))),
    isLabelled && drawEvidence(seen, verdict === "tried" ? "" : "warn"),
    facts([
      ["Answers", `${percent(canary.share, 0)} of the keys, by ${canary.keys}`],
      ["Since", ago(canary.since)],
      ["Becomes production", `after ${count(canary.most_labels)} labels, or on ${dated(canary.until)}`],
      ["Labels", `${count(canary.labels)} of ${count(canary.most_labels)}`],
      ...(isLabelled ? evidenceFacts(seen) : []),
      ...[version, against].map((one) => [`Live quality of v${one}`, live(versions.find((tally) => tally.version === one))]),
    ]),
    isLabelled && about(seen.line),
    seen?.why && h("p", { class: "note warn" }, seen.why));
}

/** Of the answers that a version gave and that have their label. */
function live(tally) {
  return Boolean(tally?.labelled) && `${percent(tally.accuracy)} of ${count(tally.labelled)} labelled answers`;
}
