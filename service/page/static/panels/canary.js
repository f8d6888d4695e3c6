// What is tried on a share of the requests beside production: whose it answers, what labels say, when it ends.

import { badge, facts, h, meter } from "../parts/dom.js";
import { ago, count, moment, percent, tone, words } from "../parts/format.js";
import { evidence, reach } from "./probation.js";

/** Nothing where no version is tried. */
export function drawCanary(canary, versions) {
  if (!canary) return null;
  const { version, against, verdict, probation: seen } = canary;
  const isLabelled = seen !== null && seen.labels > 0;
  return h("section", { class: "probation", "aria-label": "Canary" },
    h("div", { class: "row wrap" }, h("b", {}, `Version ${version} is tried beside ${against}`), h("span", { class: "push" }), badge(words(verdict), tone(verdict))),
    isLabelled && meter(reach(seen), `evidence against it ${evidence(seen.wealth)}, it is taken back at ${evidence(seen.line)}`, verdict === "tried" ? "" : "warn"),
    facts([
      ["Answers", `${percent(canary.share, 0)} of the keys, by ${canary.keys}`],
      ["Since", ago(canary.since)],
      ["Becomes production", `after ${count(canary.most_labels)} labels, or at ${moment(canary.until)}`],
      ["Labels", `${count(canary.labels)} of ${count(canary.most_labels)}`],
      ["Better on", isLabelled && count(seen.better)],
      ["Worse on", isLabelled && count(seen.worse)],
      ["Evidence against it", isLabelled && `${evidence(seen.wealth)} of ${evidence(seen.line)}`],
      ...[version, against].map((one) => [`Live quality of v${one}`, live(versions.find((tally) => tally.version === one))]),
    ]),
    seen?.why && h("p", { class: "note warn" }, seen.why));
}

/** Of the answers that a version gave and that have their label. */
function live(tally) {
  return Boolean(tally?.labelled) && `${percent(tally.accuracy)} of ${count(tally.labelled)} labelled answers`;
}
