// Accuracy over the periods of a replay, a line for each policy, with the periods that the default promoted before.

import { lineChart } from "../parts/chart.js";
import { fill, h } from "../parts/dom.js";
import { day, percent } from "../parts/format.js";

const SMOOTHED = 5;
const MANY = 15;
/** Is one of the others, drawn already. */
const TWIN = "best_in_hindsight";
const LEADING = "default";
const TONES = { never: "tone-1", always_full: "tone-2", always_window: "tone-3", river_arf: "tone-4", river_hat: "tone-5", bound: "tone-6" };
const MORE = ["tone-7", "tone-8"];

/** The chart with its legend, whose entries hide and show a policy; `show` takes a whole replay. */
export function replayChart() {
  const hidden = new Set();
  const legend = h("div", { class: "curves", role: "group", "aria-label": "Policies in the chart" });
  const chart = lineChart(undefined, tell);
  const smooth = h("input", { type: "checkbox", checked: true, onchange: draw });
  const choice = h("label", { class: "row", hidden: true }, smooth, `mean of ${SMOOTHED} periods`);
  const element = h("div", {}, chart.element, legend, choice);
  let replay = null;
  let values = {};
  let drawn = null;

  function show(now) {
    if (drawn === `${now.id} ${now.at}`) return;
    drawn = `${now.id} ${now.at}`;
    replay = now;
    choice.hidden = replay.periods <= MANY;
    drawLegend();
    draw();
  }

  function draw() {
    const some = smooth.checked && replay.periods > MANY ? SMOOTHED : 1;
    values = Object.fromEntries(shownOf(replay).map((name) => [name, meanOf(replay.policies[name].by_period, some)]));
    chart.show(chartOf(replay, values, hidden, some));
  }

  function toggle(name, button) {
    if (!hidden.delete(name)) hidden.add(name);
    button.setAttribute("aria-pressed", String(!hidden.has(name)));
    draw();
  }

  function drawLegend() {
    fill(legend, shownOf(replay).map((name) => {
      const parts = [h("i", { class: `key ${name === LEADING ? "" : `curve ${toneOf(replay, name)}`}` }), name, h("small", { "data-policy": name })];
      if (name === LEADING) return h("span", {}, parts);
      return h("button", { type: "button", "aria-pressed": String(!hidden.has(name)), onclick: (event) => toggle(name, event.currentTarget) }, parts);
    }), h("span", {}, h("i", { class: "key move" }), `${LEADING} promoted`));
  }

  /** Beside each name its value in the period that is told of. */
  function tell(index) {
    for (const place of legend.querySelectorAll("[data-policy]")) {
      const value = index === null ? null : values[place.dataset.policy]?.[index];
      place.textContent = typeof value === "number" ? percent(value) : "";
    }
  }
  return { element, show };
}

const shownOf = (replay) => Object.keys(replay.policies).filter((name) => name !== TWIN);

function toneOf(replay, name) {
  if (name in TONES) return TONES[name];
  const own = shownOf(replay).filter((one) => one !== LEADING && !(one in TONES));
  return MORE[own.indexOf(name) % MORE.length];
}

/** The line of the default, which others are drawn behind, and what is told of each of its points. */
function chartOf(replay, values, hidden, some) {
  const others = shownOf(replay).filter((name) => name !== LEADING && !hidden.has(name));
  const { promoted_at: promoted } = replay.policies[LEADING];
  const timed = replay.starts.every((one) => one !== null);
  const whatOf = (index) => `period ${index + 1}${timed ? `, from ${day(new Date(replay.starts[index]))}` : ""}`;
  return {
    label: `Accuracy of each policy in ${replay.periods} periods${some > 1 ? `, mean of ${some}` : ""}`,
    points: values[LEADING].map((y, index) => ({
      y, at: timed ? new Date(replay.starts[index]).getTime() : index, tick: timed ? null : String(index + 1),
      text: `${LEADING}, ${whatOf(index)}${promoted.includes(index) ? ", promoted before" : ""}`,
      aside: others.map((name) => `${name} ${percent(values[name][index])}`).join(", "),
    })),
    curves: others.map((name) => ({ values: values[name], tone: toneOf(replay, name) })),
    moves: promoted.map((index) => ({ index, title: `promoted before ${whatOf(index)}` })),
  };
}

/** Mean of each value and those before it, as far as there are so many. */
function meanOf(values, some) {
  return values.map((_, index) => {
    const part = values.slice(Math.max(0, index + 1 - some), index + 1);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}
