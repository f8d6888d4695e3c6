// Whether records have moved away from those that production learned from.

import { ApiError, call, find, poll } from "../parts/api.js";
import { badge, card, complaint, facts, fill, h, meter, place } from "../parts/dom.js";
import { ago, count, many, moment, percent, score, tone, words } from "../parts/format.js";

const SECONDS = 20;
const PARTS = { data: "Data", answers: "Answers", labels: "Labels" };

/** The view. */
export function driftView(context) {
  const last = place(h("div", {}), drawLast);
  const history = place(h("div", {}), drawHistory);
  const report = makeReport(context);
  async function ask(signal) {
    try {
      const told = await find(`${context.base}/drift`, { signal });
      last.show(told === null ? fromStatus(context.known.status) : (told.checks[0] ?? null), context.name);
      history.show(told?.checks ?? []);
      report.offer(told !== null && told.checks.some((one) => one.page));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      last.fail(error);
      throw error;
    }
  }
  poll(SECONDS, ask, context.signal);
  return h("div", { class: "stack" },
    card("Last check", last.element), card("Evidently's report", report.element), card("Checks before", history.element));
}

/** How many columns of the records moved, and from which share on that is drift. */
function shareOf({ share, share_threshold: least, columns }) {
  if (share === null) return null;
  const [moved, all] = [Object.values(columns).filter((one) => one.drifted).length, Object.keys(columns).length];
  const told = all === 0 ? percent(share, 0) : `${count(moved)} of ${many(all, "column")} (${percent(share, 0)})`;
  return least ? `${told}; drift from ${percent(least, 0)} on` : told;
}

/** What the status of retrains says of the last check, where the server tells no more. */
function fromStatus(status) {
  return status?.drift ? { ...status.drift, columns: {}, rows: {} } : null;
}

function drawLast(check, name) {
  if (check === null) return h("p", { class: "empty" }, "Nothing checked yet. The schedule checks, and ", h("code", {}, `ratchet drift ${name}`), ".");
  const parts = Object.entries(check.parts ?? {});
  return [
    h("div", { class: "row wrap" }, badge(words(check.verdict), tone(check.verdict)), h("b", {}, check.reason ?? ""), h("span", { class: "muted" }, ago(check.at))),
    facts([
      ["Data that moved", shareOf(check)],
      ["Version", check.version && `v${check.version}`],
      ["Rows learned from", check.rows.reference && count(check.rows.reference)],
      ["Recent rows", check.rows.recent && count(check.rows.recent)],
      ...(parts.length > 1 ? parts.map(([part, verdict]) => [PARTS[part], h("span", { class: "part" }, badge(words(verdict), tone(verdict)))]) : []),
      ["Retrain for it", check.verdict === "drift" && check.retrain !== undefined ? (check.retrain ? "yes" : "no") : null],
    ]),
    drawPart(PARTS.data, check, parts.length > 1),
    check.answers && drawPart(PARTS.answers, check.answers, true),
    check.labels && drawPart(PARTS.labels, check.labels, true),
  ];
}

/** Each column of a part: how far it has moved, how sure that is, and what moved it; then what was left out. */
function drawPart(title, part, isTitled) {
  const columns = Object.entries(part.columns).sort(([one, a], [other, b]) => b.drifted - a.drifted || one.localeCompare(other));
  const leftOut = Object.entries(part.left_out ?? {});
  return [
    isTitled && h("h3", {}, title),
    isTitled && title !== PARTS.data && h("p", { class: "muted" }, part.reason),
    columns.length > 0 && h("div", { class: "scroll" }, h("table", { class: "columns" },
      h("thead", {}, h("tr", {}, ["Column", "Moved", "How far", "", "By chance", "What moved", "Measured by"].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", {}, columns.map(([column, one]) => drawColumn(column, one, part.threshold, (part.remarks ?? {})[column]))))),
    leftOut.length > 0 && h("details", { class: "left-out" }, h("summary", {}, `${count(leftOut.length)} not compared`),
      h("ul", {}, leftOut.map(([column, why]) => h("li", {}, h("b", {}, column), ` ${why}`)))),
  ];
}

function drawColumn(name, { method, value, drifted, p_value: chance = null, moved = null }, threshold, remark) {
  const reach = Math.max(2 * threshold, 1e-9);
  return h("tr", {},
    h("th", { scope: "row" }, name),
    h("td", {}, badge(drifted ? "yes" : "no", drifted ? "warn" : "plain")),
    h("td", { class: "n" }, score(value, 3)),
    h("td", { class: "wide" }, meter(value / reach, `${score(value, 3)}, threshold ${threshold}`, `${drifted ? "warn" : ""} half`)),
    h("td", { class: "n" }, chance === null ? "–" : chance < 0.0001 ? "< 0.0001" : score(chance, 4)),
    h("td", { class: "text what" }, [moved, remark].filter(Boolean).join("; ")),
    h("td", { class: "text" }, words(method)));
}

function drawHistory(checks) {
  if (checks.length < 2) return h("p", { class: "muted" }, "No others.");
  return h("div", { class: "scroll" }, h("table", { class: "checks" },
    h("thead", {}, h("tr", {}, ["When", "Verdict", "What moved", "Version", "Why"].map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", {}, checks.slice(1).map((one) => h("tr", {},
      h("td", {}, moment(one.at)), h("td", {}, badge(words(one.verdict), tone(one.verdict))),
      h("td", { class: "text" }, Object.keys(one.moved).length > 0 ? one.sentence : "–"), h("td", { class: "n" }, one.version ? `v${one.version}` : "–"),
      h("td", { class: "muted text" }, one.reason ?? ""))))));
}

/**
 * The report in a frame without an origin of its own.
 *
 * It is fetched here, because a frame cannot send a key, and handed to the frame as text.
 */
function makeReport(context) {
  const place = h("div", {}, h("p", { class: "muted" }, "…"));
  const open = h("button", { type: "button", onclick: show }, "Open the report");
  let offered = null;

  function offer(there) {
    if (there === offered) return;
    offered = there;
    fill(place, there ? [h("p", { class: "muted" }, "Distributions of every column, then and now. Some megabytes."), open]
      : h("p", { class: "empty" }, "No check has drawn one yet."));
  }

  async function show() {
    open.disabled = true;
    try {
      const text = await (await call(`${context.base}/drift/report`, { signal: context.signal })).text();
      const frame = h("iframe", { src: "/ui/report.html", sandbox: "allow-scripts", title: "Evidently's report", class: "report" });
      frame.addEventListener("load", () => frame.contentWindow.postMessage(text, "*"), { once: true });
      fill(place, frame);
    } catch (error) {
      fill(place, complaint(error), open);
    } finally {
      open.disabled = false;
    }
  }

  return { element: place, offer };
}
