// A retrain: started, followed live, stopped, and what it came to.

import { call, follow, post } from "../parts/api.js";
import { badge, complaint, facts, fill, h } from "../parts/dom.js";
import { ago, count, digitsFor, many, metricName, score, signed, span, tone, triggerName, words } from "../parts/format.js";
import { sparkline } from "../parts/chart.js";

const STEPS = ["settle", "data", "production", "snapshot", "rows", "train", "gate", "log", "promote"];
const SAID = {
  settle: "Settle", data: "Labels", production: "Production", snapshot: "Snapshot", rows: "Rows", train: "Train",
  gate: "Judge", log: "Log", promote: "Promote",
};
/** Steps that are told of within another. */
const WITHIN = { record: "rows", export: "train", keep: "promote", link: "promote", links: "promote" };
const WEIGHTS = { train: 10, data: 2, gate: 2, log: 3 };
const CURVE = 400;
const KNOWN = new Set(["step", "challenger", "epoch", "epochs", "batch", "batches", "version", "rows", "compute"]);

/** The button that starts a run, and the panel that shows it on every tab. */
export function makeRun(context) {
  const panel = h("section", { class: "run", hidden: true, "aria-label": "Retrain" });
  const button = h("button", { type: "button", class: "main", onclick: start }, "Retrain");
  const ended = new Set();
  let followed = null;

  async function start() {
    button.disabled = true;
    try {
      const asked = await post(`${context.base}/retrain`);
      watch(asked.run_id, asked.status);
    } catch (error) {
      const running = error.details?.run_id;
      if (error.code === "busy" && running) watch(running, "running");
      else show(complaint(error), h("button", { type: "button", class: "quiet", onclick: hide }, "Close"));
    } finally {
      button.disabled = followed !== null;
      context.wake();
    }
  }

  function show(...content) {
    panel.hidden = false;
    fill(panel, content);
  }

  function hide() {
    panel.hidden = true;
    context.known.ended = null;
  }

  async function watch(id, status) {
    if (followed === id) return;
    followed = id;
    button.disabled = true;
    const live = liveRun(context, id, status);
    show(live.element);
    try {
      await follow(`${context.base}/retrain/progress?run_id=${encodeURIComponent(id)}`, (name, data) => {
        if (name === "status") live.status(data.status);
        if (name === "progress") live.progress(data);
        if (name === "end") {
          ended.add(id);
          context.known.ended = data;
          show(verdict(data, hide));
        }
      }, context.signal);
    } catch (error) {
      show(complaint(error));
    } finally {
      followed = null;
      button.disabled = false;
      context.wake();
    }
  }

  context.onNews(({ status }) => {
    if (status?.run && followed === null && !ended.has(status.run.id)) watch(status.run.id, status.run.status);
  });
  if (context.known.ended && followed === null) show(verdict(context.known.ended, hide));
  return { button, element: panel };
}

/** What is shown while a run goes on. */
function liveRun(context, id, first) {
  const bar = h("progress", { max: 1, "aria-label": "Progress of the run" });
  const sentence = h("p", { class: "sentence", role: "status" });
  const steps = h("ol", { class: "steps", "aria-hidden": "true" });
  const numbers = h("div", { class: "numbers" });
  const stop = h("button", { type: "button", onclick: askToStop }, "Stop");
  const title = h("b", {});
  const losses = [];
  let done = 0;

  async function askToStop() {
    stop.disabled = true;
    try {
      const { status: now } = await (await call(`${context.base}/retrain/stop`, { method: "POST" })).json();
      fill(sentence, now === "stopped" ? "Stopped before it began." : "Stopping: training ends within a batch, and production stays.");
    } catch (error) {
      fill(sentence, error.message);
      stop.disabled = false;
    }
  }

  function status(now) {
    fill(title, now === "queued" ? "Retrain asked for" : "Retraining");
    if (now !== "queued") return;
    bar.removeAttribute("value");
    fill(sentence, "Waiting for the worker to take it. If Prefect is away it waits, and starts when Prefect is back.");
  }

  function progress(data) {
    const step = WITHIN[data.step] ?? data.step;
    done = Math.max(done, fraction(step, data));
    bar.value = done;
    fill(sentence, sentenceOf(data));
    fill(steps, STEPS.map((name) => h("li", { class: stepClass(name, step) }, SAID[name])));
    if (typeof data.loss === "number") losses.push(data.loss);
    if (losses.length > CURVE) losses.splice(1, 1);
    fill(
      numbers,
      losses.length > 1 && [h("small", {}, "loss"), sparkline(losses, `Loss, now ${score(losses.at(-1))}`)],
      Object.entries(data).filter(([key, value]) => !KNOWN.has(key) && typeof value === "number")
        .map(([key, value]) => h("span", { class: "reading" }, h("small", {}, metricName(key)), h("b", {}, score(value)))),
    );
  }

  status(first);
  return {
    element: h("div", {}, h("div", { class: "row" }, title, h("code", { class: "id" }, id.slice(0, 8)), h("span", { class: "push" }), stop),
      bar, steps, h("div", { class: "row wrap" }, sentence, h("span", { class: "push" }), numbers)),
    status,
    progress,
  };
}

function stepClass(name, now) {
  const [place, current] = [STEPS.indexOf(name), STEPS.indexOf(now)];
  return place < current ? "past" : place === current ? "now" : "";
}

function fraction(step, data) {
  const place = STEPS.indexOf(step);
  if (place < 0) return 0;
  const weights = STEPS.map((name) => WEIGHTS[name] ?? 0.5);
  const sum = (list) => list.reduce((total, one) => total + one, 0);
  let within = 0;
  if (data.epochs && data.epoch) within = Math.min(data.epoch / data.epochs, 1);
  return (sum(weights.slice(0, place)) + within * weights[place]) / sum(weights);
}

function sentenceOf(data) {
  const parts = [[SAID[data.step] ?? words(data.step), data.challenger].filter(Boolean).join(" ")];
  if (data.epoch) parts.push(`epoch ${data.epoch}${data.epochs ? ` of ${data.epochs}` : ""}`);
  if (data.batch) parts.push(`batch ${data.batch}${data.batches ? ` of ${data.batches}` : ""}`);
  if (data.rows) parts.push(`${count(data.rows)} held-out rows`);
  if (data.version) parts.push(`version ${data.version}`);
  if (data.compute) parts.push(data.compute);
  return parts.join(", ");
}

/** What a run came to. */
function verdict(end, close) {
  const result = end.result ?? {};
  const outcome = result.outcome ?? end.status;
  return h(
    "div",
    { class: "verdict" },
    h("div", { class: "row" },
      badge(words(outcome), tone(outcome)),
      h("b", { role: "status" }, headline(outcome, result)),
      h("span", { class: "push" }),
      h("button", { type: "button", class: "quiet", onclick: close }, "Close")),
    h("p", {}, result.reason ?? end.error ?? ""),
    beside(result.plain),
    result.compute && h("p", { class: "muted" }, `Made by ${result.compute}.`),
    Object.entries(result.decisions ?? {}).map(([name, decision]) => judged(name, decision)),
    Object.entries(result.failures ?? {}).map(([name, why]) => h("p", { class: "complaint" }, `${name} was not made: ${why}`)),
  );
}

/** What serves beside a plain model. */
function beside(plain) {
  return plain && h("p", { class: plain.better ? "complaint" : "muted" }, `What serves: ${plain.sentence}.`);
}

function headline(outcome, result) {
  if (outcome === "promoted") return `Version ${result.version} is production.`;
  if (outcome === "canary") return `Version ${result.version} is tried on a share of the requests; version ${result.production_before} stays production.`;
  if (outcome === "stopped") return "Stopped; production stays.";
  if (outcome === "failed" || outcome === "lost") return "The run failed; production stays.";
  return result.production_before ? `Version ${result.production_before} stays production.` : "Nothing was promoted.";
}

/** The gate's numbers for one challenger: how much it gains, and how sure that is. */
export function judged(name, decision) {
  const { interval, challenger, production, metric, difference } = decision;
  const digits = digitsFor([challenger, production ?? decision.majority], [interval?.low, decision.min_gain ?? 0]);
  const { lost, line, gain, lower } = decision.record ?? {};
  const ofRecord = digitsFor([lost, line], [gain, 0], [lower, 0]);
  const reach = interval && h("small", { class: "muted" }, ` ${score(interval.low, digits)} to ${score(interval.high, digits)} at ${Math.round(100 * interval.level)}%`);
  const pair = (title, shown, ...more) => shown !== null && h("div", {}, h("dt", {}, title), h("dd", {}, shown, more));
  return h(
    "dl",
    { class: "judged" },
    pair("Challenger", name),
    pair(metricName(metric), isNumber(challenger) ? score(challenger, digits) : null),
    pair("Production", isNumber(production) ? score(production, digits) : null),
    pair("Without production", isNumber(decision.majority) ? score(decision.majority, digits) : null),
    pair("Gain", isNumber(difference) ? score(difference, digits) : null, reach),
    isNumber(decision.record?.lost) && pair("Staying has lost", signed(decision.record.lost, ofRecord), h("small", { class: "muted" }, ` line ${score(decision.record.line, ofRecord)}`)),
    isNumber(decision.record?.gain) && pair("Gain by record", signed(decision.record.gain, ofRecord), h("small", { class: "muted" }, ` at least ${signed(decision.record.lower, ofRecord)}`)),
    pair("Judged on", `${count(decision.rows)} rows`),
  );
}

const isNumber = (value) => typeof value === "number";

/** Whether a run ended before it trained: its rows are those that there were. */
export const isSkipped = (run) => run.outcome === "skipped";

/** The last run, in a few lines. */
export function lastRun(run) {
  if (!run) return h("p", { class: "muted" }, "No run yet.");
  const outcome = run.outcome ?? run.status;
  return h(
    "div",
    {},
    h("div", { class: "row wrap" }, badge(words(outcome), tone(outcome)), run.version ? h("b", {}, `version ${run.version}`) : null,
      h("span", { class: "muted" }, ago(run.finished_at ?? run.requested_at))),
    h("p", {}, run.reason ?? run.error ?? ""),
    beside(run.plain),
    facts([
      ["Asked for by", triggerName(run.trigger)],
      ["Took", run.seconds === null ? null : span(run.seconds)],
      ["Learned from", isSkipped(run) ? "nothing" : run.rows.train === null ? null : `${count(run.rows.train)} rows`],
      ["Of these", !isSkipped(run) && typeof run.rows.new === "number" && `${many(run.rows.new, "label")} new since production, ${count(run.rows.returned)} held out before`],
      ["Judged on", isSkipped(run) || run.rows.judged === null ? null : `${count(run.rows.judged)} rows`],
      ["Made by", run.compute],
    ]),
  );
}
