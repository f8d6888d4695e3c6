// Where a use case stands: production, live quality, labels, drift, and what is recommended.

import { lineChart } from "../parts/chart.js";
import { badge, card, facts, h, place } from "../parts/dom.js";
import { ago, count, isQuality, many, metricName, metricValue, moment, percent, score, span, tone, triggerName, words } from "../parts/format.js";
import { drawLabels, howSure, newestAnswers } from "../views/overview.js";
import { drawCanary } from "./canary.js";
import { drawProbation } from "./probation.js";
import { quarantineCard } from "./quarantine.js";
import { recordCard } from "./record.js";
import { lastRun } from "./run.js";
import { shadowCard } from "./shadow.js";
import { sourcesCard } from "./sources.js";

/** Shown first; the rest of the metrics is a click away. */
const MOST_METRICS = 8;

/** The view. */
export function currentStateView(context) {
  const quality = makeQuality();
  const production = place(h("div", {}), drawProduction);
  const probation = place(h("div", {}), drawProbation);
  const canary = place(h("div", {}), drawCanary);
  const shadow = shadowCard();
  const labels = place(h("div", {}), drawStanding);
  const last = place(h("div", {}), lastRun);
  const drift = place(h("div", {}), drawDrift);
  const record = recordCard();
  const refused = quarantineCard(context);
  const sources = sourcesCard(context);
  context.onNews(({ status, model, quality: live, schema, failed }) => {
    quality.show(live, model?.version ?? null, status?.quality ?? null, failed ?? null);
    production.show(model, schema?.metric ?? null);
    if (status === null) return;
    probation.show(status.probation);
    canary.show(status.canary ?? null, live?.versions ?? []);
    shadow.show(status.shadow);
    labels.show(status, context.name);
    last.show(status.last_run);
    drift.show(status.drift, context.name);
    record.show(status.record);
    refused.show(status.quarantine);
    sources.show(status.sources);
  });
  return h(
    "div",
    { class: "grid" },
    card("Live quality", quality.elements),
    card("Production", [production.element, canary.element, probation.element]),
    h("div", { class: "thirds" }, card("Labels", labels.element), card("Last run", last.element), card("Drift", drift.element)),
    shadow.element,
    record.element,
    sources.element,
    refused.element,
  );
}

/** The figures, the chart and what belongs to it. */
function makeQuality() {
  const [figures, chart, notes] = [place(h("div", {}), drawFigures), lineChart(), place(h("div", {}), drawNotes)];
  return {
    elements: [figures.element, chart.element, notes.element],
    show(quality, version, told, failed) {
      if (failed !== null) figures.fail(failed);
      else figures.show(quality, version, told);
      chart.show(isLabelled(quality) ? chartOf(quality) : null);
      notes.show(quality, told);
    },
  };
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const isLabelled = (quality) => Boolean(quality?.total?.labelled);

function drawFigures(quality, version, told) {
  if (!isLabelled(quality)) {
    const asked = (told?.audits ?? quality?.audits)?.sentence;
    return h("p", { class: "empty" }, version === null
      ? "No model answers yet."
      : `No true labels have come back for answers yet. Send some from Try it, or with POST /feedback, and live quality shows here.${asked ? ` ${asked}.` : ""}`);
  }
  const { total, promotions, coverage } = quality;
  const now = newestAnswers(told, quality);
  const promised = told?.at_promotion ?? null;
  return [
    h(
      "div",
      { class: "figures" },
      figure(now === null ? "–" : percent(now.accuracy), now === null ? `no labels yet for v${promotions.at(-1).to}` : `of the newest, ${howSure(now)}`),
      promised !== null && figure(percent(promised), "when it was promoted"),
      figure(percent(total.accuracy), "in all windows"),
      figure(count(total.labelled), `of ${count(coverage.answers)} answers are labelled (${percent(coverage.share)})`),
    ),
    coverage.warning && h("p", { class: "note warn", role: "status" }, coverage.warning),
  ];
}

function chartOf({ windows, promotions, metric }) {
  const [, shown] = splitMoves(promotions ?? [], windows[0].from);
  return {
    label: `Live ${metricName(metric).toLowerCase()} over time`,
    points: windows.map((one) => ({
      at: middle(one),
      y: one.accuracy,
      low: one.low,
      high: one.high,
      text: `${one.version === null ? "" : `v${one.version}, `}${count(one.correct)} of ${count(one.labelled)} right, ${moment(one.to)}`,
    })),
    marks: shown.map((one) => ({
      at: new Date(one.at).getTime(),
      text: `${one.event === "rolled_back" ? "↩ " : ""}v${one.to}`,
      tone: one.event === "promoted" ? "" : "warn",
      title: moveText(one),
    })),
  };
}

function drawNotes(quality, told) {
  if (!isLabelled(quality)) return [];
  const { total, windows, promotions, metric } = quality;
  const audits = told?.audits ?? quality.audits; // as `ratchet status` has them
  const [earlier] = splitMoves(promotions ?? [], windows[0].from);
  return [
    h("p", { class: "legend" },
      h("span", {}, h("i", { class: "key line" }), `${metricName(metric).toLowerCase()} of about ${count(Math.round(total.labelled / windows.length))} labelled answers a point`),
      h("span", {}, h("i", { class: "key band" }), "95% interval"),
      h("span", {}, h("i", { class: "key mark" }), "production moved"),
      earlier.length > 0 && h("span", { class: "earlier", title: earlier.map(moveText).join("\n") }, `${many(earlier.length, "earlier move")} of production`)),
    audits?.sentence && h("p", { class: "note audits" }, audits.sentence),
    h("details", {}, h("summary", {}, "The numbers"), table(windows)),
  ];
}

/** Moves of production before the first labelled answer, which have no place among the points, and the others. */
function splitMoves(moves, first) {
  const start = new Date(first).getTime();
  const isEarlier = (one) => new Date(one.at).getTime() < start;
  return [moves.filter(isEarlier), moves.filter((one) => !isEarlier(one))];
}

function moveText(one) {
  return `${words(one.event)}: ${one.from === null ? "" : `v${one.from} to `}v${one.to}, ${moment(one.at)}`;
}

const middle = (one) => (new Date(one.from).getTime() + new Date(one.to).getTime()) / 2;

function figure(value, text) {
  return h("div", { class: "figure" }, h("b", {}, value), h("small", {}, text));
}

function table(windows) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["From", "To", "Version", "Labelled", "Right", "Accuracy"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, [...windows].reverse().map((one) => h("tr", {},
      h("td", {}, moment(one.from)), h("td", {}, moment(one.to)), h("td", {}, one.version === null ? "" : `v${one.version}`), h("td", { class: "n" }, count(one.labelled)),
      h("td", { class: "n" }, count(one.correct)),
      h("td", { class: "n" }, `${percent(one.accuracy)} (${percent(one.low, 0)} to ${percent(one.high, 0)})`))))));
}

function drawProduction(model, metric) {
  if (model === null) return h("p", { class: "empty" }, "No version serves yet. Retrain makes the first one, once there are labels enough.");
  const { lineage, registry } = model;
  const metrics = Object.entries(registry.metrics).filter(([name]) => isQuality(name));
  metrics.sort(([one], [other]) => (other === metric) - (one === metric) || one.localeCompare(other));
  return [
    h("div", { class: "row" }, h("b", { class: "big" }, `Version ${model.version}`), h("span", { class: "push" }),
      h("span", { class: "muted" }, "serves since ", ago(model.serving_since))),
    metrics.length > 0 && h("dl", { class: "facts metrics" }, metrics.slice(0, MOST_METRICS).map(([name, value]) =>
      [h("dt", {}, metricName(name)), h("dd", {}, metricValue(name, value))])),
    facts([
      ["Model", words(model.estimator)],
      ["Made by", [model.challenger === model.fit ? "" : model.challenger, `${model.fit} fit`].filter(Boolean).join(", ")],
      ["Blend of", model.members.length > 0 && blendOf(model.members)],
      ["Learned from", `${count(model.training_rows)} rows`],
      ["Asked for by", triggerName(lineage.trigger)],
      ["Rollback goes to", model.previous !== null && `version ${model.previous}`],
      ["Created", ago(model.created_at)],
      ["Runtime", words(model.runtime)],
    ]),
    Object.entries(model.refused).map(([version, why]) => h("p", { class: "complaint" }, `Version ${version} is refused: ${why}`)),
  ];
}

/** Members of a blend with what they count for, the heaviest first; nothing where one model answers. */
function blendOf(members) {
  const ranked = [...members].sort((one, other) => other.weight - one.weight);
  return ranked.map((one, place) => h("span", { class: "member" }, `${words(one.name)} `, h("b", {}, percent(one.weight, 0)), place < ranked.length - 1 && ", "));
}

function drawStanding(status) {
  const { recommendation: told, chosen_labels: chosen } = status;
  return [
    drawLabels(status),
    status.fence?.sentence && h("p", { class: "note beyond-fence" }, sentence(status.fence.sentence)),
    chosen && h("p", { class: "note warn chosen-labels", role: "status" }, sentence(chosen.sentence)),
    h("div", { class: "row wrap advice" }, h("span", { class: "muted" }, "Recommended"), badge(words(told.verdict), tone(told.verdict))),
    h("ul", { class: "reasons" }, told.reasons.map((one) => h("li", {}, one))),
    told.needs && h("p", { class: "muted" }, told.needs),
    facts([
      ["Taken back", takenBack(status.taken_back)],
      ["Age of production", status.age_days === null ? null : status.age_days < 0.001 ? "a moment" : span(status.age_days * 86400)],
      ["Next scheduled run", status.next_run ? ago(status.next_run) : null],
    ]),
  ];
}

/** How many labels were taken back, and who did so last, when and why; nothing where none were. */
function takenBack({ labels, last }) {
  return last && [`${many(labels, "label")}, the last by ${last.actor} `, ago(last.at), last.reason && `: ${last.reason}`];
}

function drawDrift(drift, name) {
  if (!drift) return h("p", { class: "empty" }, "Not checked yet. The schedule does, and ", h("code", {}, `ratchet drift ${name}`), ".");
  return [
    h("div", { class: "row wrap" }, badge(words(drift.verdict), tone(drift.verdict)), h("span", { class: "muted" }, ago(drift.at))),
    h("p", { class: "said" }, sentence(drift.sentence)),
    facts([
      ["Compared with", drift.version === null ? null : `version ${drift.version}`],
    ]),
    h("p", {}, h("a", { href: `#/${name}/drift` }, "Columns and report")),
  ];
}
