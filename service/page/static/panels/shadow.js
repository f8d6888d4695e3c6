// Another version that is asked about live records before it answers anybody: what it says beside what was served.

import { badge, card, facts, h, place } from "../parts/dom.js";
import { ago, count, percent, score, signed, words } from "../parts/format.js";

const TOLD = { starting: "being loaded", asked: "tried again", answers: "asked", serves: "serves", missing: "no version", broken: "cannot answer", hangs: "hangs", ends: "ends its process" };
const TONES = { answers: "good", broken: "bad", hangs: "bad", ends: "bad", missing: "warn" };

/** The card; `show` takes what the status says of the shadow, null where none is configured. */
export function shadowCard() {
  const told = place(h("div", {}), drawShadow);
  const element = card("Shadow", told.element);
  element.classList.add("wide");
  element.setAttribute("aria-label", "Shadow");
  element.hidden = true;

  function show(shadow) {
    element.hidden = !shadow;
    if (shadow) told.show(shadow);
  }
  return { element, show };
}

function drawShadow(shadow) {
  const { alias, version, state } = shadow;
  return [
    h("div", { class: "row wrap" }, h("b", {}, version === null ? words(alias) : `Version ${version}, ${words(alias)}`), badge(TOLD[state] ?? words(state), TONES[state] ?? "plain"), h("span", { class: "muted" }, "answers live records too, for nobody but you")),
    shadow.why && h("p", { class: "note warn" }, `${shadow.why}. It is not asked again until the alias moves, or ratchet shadow --again.`),
    shadow.answered > 0 && h("div", { class: "halves" }, facts(figures(shadow)), h("div", {}, drawPairs(shadow.pairs), drawFailures(shadow.failures))),
    shadow.right?.warning && h("p", { class: "note warn" }, shadow.right.warning),
  ];
}

function figures({ since, answered, left_out, share_differing, failed, alone_ms, production_ms, production, scores, right }) {
  return [
    ["Asked since", ago(since)],
    ["Live records", count(answered)],
    ["Answered otherwise", share_differing !== null && percent(share_differing)],
    ["Could not answer", failed > 0 && count(failed)],
    ["Left out", left_out > 0 && count(left_out)],
    ["Computing a record", alone_ms !== null && beside(`${digits(alone_ms)} ms`, production_ms !== null && `${digits(production_ms)} ms of version ${production}`)],
    ["Mean score", scores !== null && beside(score(scores.shadow_mean, 3), `${score(scores.served_mean, 3)} served${scores.moved ? ", moved" : ""}`)],
    [right?.of === "audited" ? "Right, of audited answers" : "Right", right !== null && beside(percent(right.shadow_right / right.labelled), `${percent(right.served_right / right.labelled)} served, ${count(right.labelled)} labels`)],
    ["Difference", right !== null && `${signed(100 * right.low, 1)} to ${signed(100 * right.high, 1)} points${right.verdict === "open" ? "" : `, surely ${right.verdict}`}`],
  ];
}

const beside = (mine, theirs) => (theirs ? `${mine} beside ${theirs}` : mine);
const digits = (value) => String(Number(value.toPrecision(3)));

function drawPairs(pairs) {
  if (pairs.length === 0) return null;
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Served", "Shadow", "Records"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, pairs.map((pair) => h("tr", {}, h("td", {}, pair.served ?? "–"), h("td", {}, pair.shadow ?? "–"), h("td", { class: "n" }, count(pair.count)))))));
}

function drawFailures(failures) {
  return failures.map((one) => h("p", { class: "note warn" }, `${count(one.count)} could not be answered: ${one.example}`));
}
