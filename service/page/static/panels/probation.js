// A version that was promoted, beside the one before it: what its labels say so far, and how far the line is.

import { badge, facts, h, meter } from "../parts/dom.js";
import { ago, count, tone, words } from "../parts/format.js";

const TOLD = { on_probation: "watched", passed: "passed", worse: "worse", held: "held", taken_back: "taken back", not_compared: "not compared" };

/** Nothing where no version is watched. */
export function drawProbation(probation) {
  if (!probation) return null;
  const { verdict, version, before, labels } = probation;
  return h("section", { class: "probation", "aria-label": "Probation" },
    h("div", { class: "row wrap" }, h("b", {}, `Version ${version} beside ${before}`), h("span", { class: "push" }), badge(TOLD[verdict] ?? words(verdict), tone(verdict))),
    verdict !== "not_compared" && [
      meter(reach(probation), `evidence against it ${evidence(probation.wealth)}, it is taken back at ${evidence(probation.line)}`, verdict === "on_probation" || verdict === "passed" ? "" : "warn"),
      facts([
        ["Looked at", ago(probation.at)],
        ["Labels since", `${count(labels)} of ${count(probation.most_labels)}`],
        ["Better on", labels > 0 && count(probation.better)],
        ["Worse on", labels > 0 && count(probation.worse)],
        ["Evidence against it", labels > 0 && `${evidence(probation.wealth)} of ${evidence(probation.line)}`],
        ["Until it would go back", verdict === "on_probation" && probation.to_go !== null && `about ${count(probation.to_go)} labels like these`],
      ]),
    ],
    probation.why && h("p", { class: "note warn" }, probation.why));
}

/** How far the evidence is, by its logarithm: each label multiplies it. Below 1 it speaks for the version. */
export function reach({ wealth, line }) {
  return Math.max(0, Math.min(1, Math.log(Math.max(1, wealth)) / Math.log(line)));
}

/** Three digits that count; what is far beyond every line is not spelt out. */
export function evidence(value) {
  if (value >= 1e6) return "more than a million";
  return value >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(3)));
}
