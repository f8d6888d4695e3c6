// A version that was promoted, beside the one before it: what its labels say so far, and how far the line is.

import { badge, facts, h, meter } from "../parts/dom.js";
import { ago, count, many, tone, words } from "../parts/format.js";

const TOLD = { on_probation: "watched", passed: "passed", worse: "worse", held: "held", taken_back: "taken back", not_compared: "not compared" };

/** Nothing where no version is watched. */
export function drawProbation(probation) {
  if (!probation) return null;
  const { verdict, version, before, labels } = probation;
  return h("section", { class: "probation", "aria-label": "Probation" },
    h("div", { class: "row wrap" }, h("b", {}, `Version ${version} beside ${before}`), h("span", { class: "push" }), badge(TOLD[verdict] ?? words(verdict), tone(verdict))),
    verdict !== "not_compared" && [
      drawEvidence(probation, verdict === "on_probation" || verdict === "passed" ? "" : "warn"),
      facts([
        ["Looked at", ago(probation.at)],
        ["Labels since", `${count(labels)} of ${count(probation.most_labels)}`],
        ...evidenceFacts(probation),
        ["Passes", verdict === "on_probation" && `after ${many(Math.max(0, probation.most_labels - labels), "more label")}`],
      ]),
      about(probation.line),
    ],
    probation.why && h("p", { class: "note warn" }, probation.why));
}

/** The bar of the evidence. */
export function drawEvidence(probation, tone) {
  return meter(reach(probation), againstIt(probation), tone);
}

/** What labels say so far, and what it would take until the version goes back; nothing before a label. */
export function evidenceFacts(probation) {
  const { labels, better, worse, verdict, to_go: more } = probation;
  if (!labels) return [];
  return [
    ["Better on", count(better)],
    ["Worse on", count(worse)],
    ["On average", difference(probation)],
    ["Evidence against it", `${evidence(probation.wealth)} of the ${lineOf(probation)} that take it back`],
    ["Until it would go back", verdict === "on_probation" && (more === null ? "labels like these do not lead there" : `about ${count(more)} more labels like these`)],
  ];
}

/** What the line is. */
export function about(line) {
  return h("p", { class: "note" }, `A version that is no worse comes to ${lineOf({ line })} in 1 of ${lineOf({ line })} cases at most, however often it is looked at.`);
}

function difference({ counts, lost }) {
  if (typeof lost !== "number") return null;
  if (counts === "right answers") return `${(100 * Math.abs(lost)).toFixed(2)} ${lost > 0 ? "fewer" : "more"} right in 100 answers`;
  return `${lost > 0 ? "worse" : "better"} by ${Math.abs(lost).toFixed(4)} in Brier score, from 0 to 1`;
}

const againstIt = (probation) => `evidence against it: ${evidence(probation.wealth)} of the ${lineOf(probation)} that take it back`;
const lineOf = ({ line }) => String(Number(line.toPrecision(4)));

/** How far the evidence is, by its logarithm: each label multiplies it. Below 1 it speaks for the version. */
export function reach({ wealth, line }) {
  return Math.max(0, Math.min(1, Math.log(Math.max(1, wealth)) / Math.log(line)));
}

/** With the digits that count, as `ratchet probation` has it; what is far beyond every line is not spelt out. */
export function evidence(value) {
  if (value >= 1e6) return "more than a million";
  if (value >= 100) return count(Math.round(value));
  return value.toFixed(value >= 10 ? 1 : 2);
}
