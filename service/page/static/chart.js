// Lines over time, drawn as SVG at the width that there is.

import { h, s } from "./dom.js";
import { day, moment, percent } from "./format.js";

const HEIGHT = 232;
const EDGE = { left: 46, right: 14, top: 40, bottom: 24 };
const HEAD = 13;
const DAY = 86_400_000;
const GOOD_STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25];

/**
 * A line with a band of uncertainty, and marks at moments.
 *
 * Points are `{x, y, low, high, text}` with x in milliseconds and y from 0 to 1, the oldest first; marks are
 * `{x, text, tone, title}`. Hovering, or the arrow keys, tell of one point.
 */
export function lineChart({ points, marks = [], label }) {
  const drawing = s("svg", { height: HEIGHT, role: "img", "aria-label": label });
  const told = h("div", { class: "told", "aria-live": "polite", hidden: true });
  const box = h("div", { class: "chart", tabindex: 0, role: "group", "aria-label": `${label}. Left and right tell of each point.` }, drawing, told);
  let chosen = null;
  let scale = null;

  function draw() {
    const width = box.clientWidth;
    if (width === 0) return;
    scale = makeScale(points, marks, width);
    drawing.setAttribute("width", width);
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.replaceChildren(...drawGrid(scale), ...drawMarks(marks, scale), ...drawLine(points, scale), s("g", { class: "chosen" }));
    choose(chosen);
  }

  function choose(index) {
    chosen = index;
    const group = drawing.querySelector(".chosen");
    group.replaceChildren();
    told.hidden = index === null;
    if (index === null) return;
    const point = points[index];
    const [x, y] = [scale.x(point.x), scale.y(point.y)];
    group.append(s("line", { x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }), s("circle", { cx: x, cy: y, r: 4.5 }));
    told.replaceChildren(h("b", {}, percent(point.y)), h("span", {}, point.text));
    told.style.left = `${Math.max(70, Math.min(scale.width - 70, x))}px`;
  }

  box.addEventListener("pointermove", (event) => {
    const x = event.clientX - drawing.getBoundingClientRect().left;
    choose(nearest(points.map((point) => scale.x(point.x)), x));
  });
  box.addEventListener("pointerleave", () => choose(null));
  box.addEventListener("blur", () => choose(null));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || points.length === 0) return;
    event.preventDefault();
    const from = chosen ?? (step < 0 ? points.length : -1);
    choose(Math.max(0, Math.min(points.length - 1, from + step)));
  });
  new ResizeObserver(draw).observe(box);
  return box;
}

function makeScale(points, marks, width) {
  const times = [...points.map((point) => point.x), ...marks.map((mark) => mark.x)];
  let [first, last] = [Math.min(...times), Math.max(...times)];
  if (last - first < 1000) [first, last] = [first - 30_000, last + 30_000];
  const values = points.flatMap((point) => [point.low ?? point.y, point.high ?? point.y]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const step = GOOD_STEPS.find((one) => (most - least) / one <= 5) ?? 0.25;
  const low = Math.max(0, Math.floor(least / step) * step);
  const high = Math.min(1, Math.max(low + step, Math.ceil(most / step) * step));
  const inner = width - EDGE.left - EDGE.right - 12;
  return {
    width, low, high, step, first, last,
    x: (time) => EDGE.left + 6 + ((time - first) / (last - first)) * inner,
    y: (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom),
  };
}

function drawGrid(scale) {
  const parts = [];
  const digits = scale.step < 0.01 ? 1 : 0;
  for (let value = scale.low; value <= scale.high + 1e-9; value += scale.step) {
    const y = scale.y(value);
    parts.push(s("line", { class: "grid", x1: EDGE.left, x2: scale.width - EDGE.right, y1: y, y2: y }));
    parts.push(s("text", { class: "tick", x: EDGE.left - 8, y: y + 4, "text-anchor": "end" }, percent(value, digits)));
  }
  const ticks = Math.max(2, Math.min(6, Math.floor(scale.width / 150)));
  for (let index = 0; index < ticks; index += 1) {
    const time = scale.first + ((scale.last - scale.first) * index) / (ticks - 1);
    const anchor = index === 0 ? "start" : index === ticks - 1 ? "end" : "middle";
    const text = scale.last - scale.first > 3 * DAY ? day(new Date(time)) : moment(new Date(time).toISOString());
    parts.push(s("text", { class: "tick", x: scale.x(time), y: HEIGHT - 6, "text-anchor": anchor }, text));
  }
  return parts;
}

function drawMarks(marks, scale) {
  const free = [-Infinity, -Infinity]; // where the next name may begin, in each of two rows
  return marks.flatMap((mark) => {
    const x = scale.x(mark.x);
    const wide = 7 * mark.text.length;
    const row = free.findIndex((place) => x - wide / 2 >= place);
    const top = EDGE.top - 8 - (row === 0 ? HEAD : 0);
    const line = s("line", { class: `mark ${mark.tone}`, x1: x, x2: x, y1: top + 2, y2: HEIGHT - EDGE.bottom }, s("title", {}, mark.title));
    if (row < 0) return [line];
    free[row] = x + wide / 2 + 6;
    const anchor = x > scale.width - 30 ? "end" : x < EDGE.left + 10 ? "start" : "middle";
    return [line, s("text", { class: `mark ${mark.tone}`, x, y: top - 2, "text-anchor": anchor }, mark.text, s("title", {}, mark.title))];
  });
}

function drawLine(points, scale) {
  const at = (point, value) => `${scale.x(point.x).toFixed(1)},${scale.y(value).toFixed(1)}`;
  const highs = points.map((point) => at(point, point.high ?? point.y));
  const lows = points.map((point) => at(point, point.low ?? point.y)).reverse();
  const parts = [];
  if (points.length > 1) {
    parts.push(s("path", { class: "band", d: `M${[...highs, ...lows].join("L")}Z` }));
    parts.push(s("path", { class: "line", d: `M${points.map((point) => at(point, point.y)).join("L")}` }));
  } else {
    for (const point of points) {
      const x = scale.x(point.x);
      parts.push(s("line", { class: "reach", x1: x, x2: x, y1: scale.y(point.low ?? point.y), y2: scale.y(point.high ?? point.y) }));
    }
  }
  return [...parts, ...points.map((point) => s("circle", { class: "point", cx: scale.x(point.x), cy: scale.y(point.y), r: points.length > 40 ? 1.5 : 2.5 }))];
}

function nearest(places, x) {
  let best = null;
  for (const [index, place] of places.entries()) {
    if (best === null || Math.abs(place - x) < Math.abs(places[best] - x)) best = index;
  }
  return best;
}

/** A line without axes, to be read with a number beside it. */
export function sparkline(values, label) {
  const [width, height] = [120, 34];
  const known = values.filter((value) => typeof value === "number");
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const spread = Math.max(most - least, 1e-9);
  const x = (index) => 2 + (index / Math.max(1, known.length - 1)) * (width - 6);
  const y = (value) => height - 4 - ((value - least) / spread) * (height - 8);
  const path = known.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    known.length > 1 && s("path", { class: "line", d: `M${path.join("L")}` }),
    known.length > 0 && s("circle", { class: "point", cx: x(known.length - 1), cy: y(known.at(-1)), r: 2.5 }),
  );
}
