// What moved production, or did not, and why; and the runs behind it.

import { allOf, find, get, poll, showIn } from "../parts/api.js";
import { badge, card, h, outward, place } from "../parts/dom.js";
import { ago, count, span, tone, triggerName, words } from "../parts/format.js";
import { isSkipped, judged } from "./run.js";

const SECONDS = 10;
const ROWS = 100;
/** What every move and every retrain writes besides what it came to. */
const UNSEEN = new Set(["intent", "registered"]);

/** The view. */
export function ledgerView(context) {
  const rows = place(h("div", {}), drawEntries);
  const runs = place(h("div", {}), drawRuns);
  async function ask(signal) {
    await allOf(
      showIn(rows, get(`${context.base}/ledger?limit=${ROWS}`, { signal }), (ledger) => rows.show(ledger.entries)),
      showIn(runs, find(`${context.base}/retrain/history?limit=30`, { signal }), (history) => runs.show(history?.runs ?? history?.entries ?? null)),
    );
  }
  const asking = poll(SECONDS, ask, context.signal);
  let seen = null;
  context.onNews(({ status }) => {
    const now = `${status?.version} ${status?.last_run?.id}`;
    if (seen !== null && seen !== now) asking.wake();
    seen = now;
  });
  return h("div", { class: "stack" }, card("Ledger", rows.element), card("Retrains", runs.element));
}

function drawEntries(entries) {
  const shown = entries.filter((one) => !UNSEEN.has(one.event));
  if (shown.length === 0) return h("p", { class: "empty" }, "Nothing has moved production yet.");
  return h("ol", { class: "ledger" }, shown.map(drawEntry));
}

function drawEntry(one) {
  const evidence = Object.keys(one.evidence ?? {}).length > 0;
  const more = evidence && h("details", {}, h("summary", {}, "Evidence"), drawEvidence(one.evidence));
  return h(
    "li",
    { "data-key": one.id },
    badge(words(one.event), tone(one.event)),
    h("div", {},
      h("p", {}, h("b", {}, moved(one)), one.reason),
      h("p", { class: "muted" }, ago(one.at), ` · ${triggerName(one.actor)}`, one.run_id && [" · run ", h("code", {}, one.run_id.slice(0, 8))]),
      more),
  );
}

function moved({ event, from_version: from, to_version: to }) {
  if (from === null && to === null) return "";
  if (to === null) return `v${from}  `;
  if (from === null) return `v${to}  `;
  if (event === "canary_ended") return `v${from} against v${to}  `;
  return ["promoted", "rolled_back", "external", "linked"].includes(event) ? `v${from} → v${to}  ` : `v${to} against v${from}  `;
}

/** The gate's numbers as such, and everything as JSON. */
function drawEvidence(evidence) {
  const isGate = "metric" in evidence && "rows" in evidence;
  // Verdicts of former releases have the name in the place of the score.
  const isName = typeof evidence.challenger === "string";
  const decision = isName ? { ...evidence, challenger: null } : evidence;
  const name = isName ? evidence.challenger : evidence.challenger_name ?? null;
  return [
    isGate && judged(name, decision),
    h("pre", {}, JSON.stringify(evidence, null, 2)),
  ];
}

function drawRuns(runs) {
  if (runs === null) return h("p", { class: "muted" }, "This server keeps no list of runs.");
  if (runs.length === 0) return h("p", { class: "empty" }, "No run yet.");
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["When", "Asked for by", "Outcome", "Version", "Took", "Learned from", "Judged on", ""].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, runs.map((run) => h("tr", {},
      h("td", {}, ago(run.finished_at ?? run.started_at ?? run.requested_at)),
      h("td", {}, triggerName(run.trigger)),
      h("td", { class: "gate" }, badge(words(run.outcome ?? run.status), tone(run.outcome ?? run.status)), run.reason && h("small", { class: "why" }, " ", run.reason)),
      h("td", { class: "n" }, run.version ? `v${run.version}` : ""),
      h("td", { class: "n" }, span(run.seconds ?? null)),
      h("td", { class: "n" }, isSkipped(run) ? "–" : count(run.rows?.train)),
      h("td", { class: "n" }, isSkipped(run) ? "–" : count(run.rows?.judged)),
      h("td", { class: "links" }, outward(run.links?.prefect_run, "Prefect")))))));
}
