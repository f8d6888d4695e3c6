// The record of new models: what staying with production has lost at each retrain, and what moves production.

import { lineChart } from "../parts/chart.js";
import { badge, card, h, place } from "../parts/dom.js";
import { count, many, moment, percent, score, signed, tone, words } from "../parts/format.js";

const STEPS = [1, 2, 5].flatMap((one) => [1e-4, 1e-3, 1e-2, 1e-1, 1].map((size) => one * size)).sort((one, other) => one - other);
/** Brier score a row, summed over retrains; below 0 where production was better than what came after it. */
const LOSSES = { least: -Infinity, most: Infinity, steps: STEPS, holds: [0], write: writeLoss };
const MOVES = new Set(["promoted", "rolled_back", "external"]);

/** The card; `show` takes what the status says of the record. */
export function recordCard() {
  const told = place(h("div", {}), drawTold);
  const chart = lineChart(LOSSES);
  const notes = place(h("div", {}), drawNotes);
  const element = card("Record of new models", told.element, notes.element);
  element.classList.add("wide", "record");

  function show(record) {
    told.show(record);
    notes.show(record);
    const data = chartOf(record.series);
    if (data !== null && !chart.element.isConnected) told.element.after(chart.element);
    chart.show(data);
  }
  return { element, show };
}

const hasRecord = (one) => one.lost !== null;
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function drawTold({ last, missing, series }) {
  if (!series.some(hasRecord)) return h("p", { class: "empty" }, sentence(missing));
  return [
    last !== null && hasRecord(last) && h("div", { class: "figures" },
      lostFigure(last, series.at(-1)),
      figure(signed(last.gain), `gained by a new model, at least ${signed(last.lower)}`),
      figure(count(last.rows), `rows of ${many(last.periods, "period")}, ${many(last.age, "retrain")} after v${last.production}`)),
    h("p", { class: "next", role: "status" }, h("b", {}, "For the next promotion by record: "), `${missing}.`),
  ];
}

/** What is lost, as a share of the line that must be crossed. */
function lostFigure({ lost, line, production }, newest) {
  const isPast = newest.version !== production && MOVES.has(newest.event);
  const told = isPast ? `had been lost by staying with v${production}, before production moved to v${newest.version}` : `lost by staying with v${production}`;
  const text = `${told}: ${signed(lost)}, the line is ${score(line)}`;
  return line > 0 ? figure(percent(Math.max(0, lost) / line, 0), `of the line ${text}`) : figure(signed(lost), text);
}

function figure(value, text) {
  return h("div", { class: "figure" }, h("b", {}, value), h("small", {}, text));
}

function chartOf(series) {
  const judged = series.filter(hasRecord);
  if (judged.length === 0) return null;
  const { line } = judged.at(-1);
  const first = timeOf(judged[0]);
  const moves = series.filter((one) => MOVES.has(one.event));
  return {
    label: "What staying with production has lost, retrain by retrain",
    limit: { y: line, text: `promotes above ${score(line)}` },
    points: judged.map((one) => ({ at: timeOf(one), y: one.lost, part: moves.filter((move) => timeOf(move) < timeOf(one)).length, text: pointText(one), tick: placeName(one) })),
    marks: moves.filter((one) => timeOf(one) >= first).map((one) => ({
      at: timeOf(one) + 1, // after the verdict that moved it
      text: `${one.event === "rolled_back" ? "↩ " : ""}v${one.version}`,
      tone: one.event !== "promoted" ? "warn" : byRecord(one) ? "" : "rows",
      title: `${moveName(one)}: ${one.production === null ? "" : `v${one.production} to `}v${one.version}, ${moment(one.at)}`,
    })),
  };
}

const timeOf = (one) => new Date(one.at).getTime();
/** Retrains are counted from the version that is stayed with. */
const placeName = (one) => `v${one.production} +${one.age}`;
const byRecord = (one) => one.outcome === "record_beats_production";

function moveName(one) {
  if (one.event !== "promoted") return words(one.event);
  return byRecord(one) ? "promoted by its record" : one.outcome === "first_model" ? "promoted as the first model" : "promoted by held-out rows";
}

function pointText(one) {
  return `staying with v${one.production}, retrain ${one.age} after it; v${one.version} ${words(one.event)}, gain ${signed(one.gain)}, ${moment(one.at)}`;
}

function drawNotes({ series }) {
  const about = h("p", { class: "note" },
    "Models made at earlier retrains are asked about the labels that came after them. What they gain over production adds up to what staying with it has lost, in Brier score a row; where that crosses the line, the newest model is promoted.");
  if (!series.some(hasRecord)) return [about];
  return [
    h("p", { class: "legend" },
      h("span", {}, h("i", { class: "key line" }), "lost by staying with production, since it was made"),
      h("span", {}, h("i", { class: "key limit" }), "the line that must be crossed (gate.shadows.cost)"),
      h("span", {}, h("i", { class: "key mark" }), "promoted by its record"),
      h("span", {}, h("i", { class: "key mark rows" }), "promoted by held-out rows"),
      h("span", {}, h("i", { class: "key mark warn" }), "rolled back, or moved by others")),
    about,
    h("p", { class: "note" }, `Across: retrains, oldest first; ${placeName(series.filter(hasRecord).at(-1))} is the number of the retrain after that version was made. Up: Brier score a row.`),
    h("details", {}, h("summary", {}, "The numbers"), table(series)),
  ];
}

function table(series) {
  const titles = ["When", "Verdict", "Production", "New", "Gain", "At least", "More right", "Lost", "Line", "Rows"];
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, titles.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, [...series].reverse().map((one) => h("tr", {},
      h("td", {}, moment(one.at)),
      h("td", {}, badge(words(one.event), tone(one.event)), h("small", { class: "why" }, words(one.outcome))),
      h("td", {}, one.production === null ? "" : `v${one.production}`),
      h("td", {}, one.version === null ? "" : `v${one.version}`, one.challenger && h("small", { class: "why" }, ` ${words(one.challenger)}`)),
      h("td", { class: "n" }, signed(one.gain)), h("td", { class: "n" }, signed(one.lower)), h("td", { class: "n" }, one.right === null ? "" : signed(one.right)), h("td", { class: "n" }, signed(one.lost)),
      h("td", { class: "n" }, score(one.line)), h("td", { class: "n" }, count(one.rows)))))));
}

/** A loss by itself, or beside a grid with steps of some size. */
function writeLoss(value, step) {
  if (step === undefined) return signed(value);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return signed(value, digits).replace("+", "");
}
