// Lines over time, drawn as SVG at the width that there is.

import { h, s } from "./dom.js";
import { percent, timeLine } from "./format.js";

const HEIGHT = 232;
const EDGE = { left: 46, right: 14, top: 40, bottom: 24 };
const HEAD = 13;

/** Where the mouse was when it was heard of last: browsers tell of one that lies still when the page moves below it. */
let mouse = null;
const placeOf = (event) => `${event.screenX} ${event.screenY}`;
const liesStill = (event) => mouse === null || mouse === placeOf(event);
document.addEventListener("pointermove", (event) => { mouse = placeOf(event); });

/** Values as shares: from 0 to 1, written as percent. */
const SHARES = { least: 0, most: 1, steps: [0.01, 0.02, 0.05, 0.1, 0.2, 0.25], holds: [], write: (value, step) => percent(value, step === undefined ? 1 : 0) };

/**
 * A line with a band of uncertainty, and marks at moments: an element that stays, so that the focus and the chosen
 * point stay too while new numbers are shown.
 *
 * Points are `{at, y, low, high, part, text}` with times in milliseconds, the oldest first; the line is cut where `part`
 * changes, and there is no band without `low` and `high`. Marks are `{at, text, tone, title}`; a `limit` is `{y, text}`,
 * a level that is drawn across. Points stand side by side, as traffic comes in bursts that a scale of time would press
 * together; marks stand between the points that they came between. Hovering, or the arrow keys, tell of one point; its
 * `aside` is heard and not seen, and its `tick`, where it has one, stands below in the place of its time. `curves`, as
 * `{values, tone}`, are drawn behind the line, and `moves`, as `{index, title}`, are points marked at the top.
 *
 * `values` say what y is: at `least` and `most`, the `steps` that a grid may have, what the axis `holds` whatever the
 * points are, and how a value is written, beside a grid of some step or by itself. `onChoose` hears which point is
 * told of, null when none is.
 */
export function lineChart(values = SHARES, onChoose = () => {}) {
  const drawing = s("svg", { height: HEIGHT, role: "img" });
  const told = h("div", { class: "told", "aria-live": "polite", hidden: true });
  const box = h("div", { class: "chart", tabindex: 0, role: "group", hidden: true }, drawing, told);
  let [points, marks, limit, curves, moves] = [[], [], null, [], []];
  let shown;
  let chosen = null;
  let byKeys = false; // what was chosen so is not given up for a mouse that only lies there
  let scale = null;

  function show(data) {
    if (JSON.stringify(data) === shown) return;
    shown = JSON.stringify(data);
    box.hidden = data === null;
    points = data?.points ?? [];
    marks = data?.marks ?? [];
    limit = data?.limit ?? null;
    curves = data?.curves ?? [];
    moves = data?.moves ?? [];
    if (chosen !== null) chosen = points.length > 0 ? Math.min(chosen, points.length - 1) : null;
    if (data === null) return;
    drawing.setAttribute("aria-label", data.label);
    box.setAttribute("aria-label", `${data.label}. Left and right tell of each point.`);
    draw();
  }

  function draw() {
    const width = box.clientWidth;
    if (width === 0 || points.length === 0) return;
    scale = makeScale(values, points, limit, curves, width);
    drawing.setAttribute("width", width);
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.replaceChildren(...drawGrid(values, points, scale), ...drawMarks(placeMarks(marks, points), scale), ...drawLimit(limit, scale), ...drawCurves(curves, scale), ...drawMoves(moves, scale), ...drawLines(points, scale), s("g", { class: "chosen" }));
    choose(chosen);
  }

  function choose(index) {
    chosen = index;
    onChoose(index);
    const group = drawing.querySelector(".chosen");
    group?.replaceChildren();
    told.hidden = index === null;
    if (index === null || !group) return; // what is chosen before it is drawn is told once it is
    const point = points[index];
    const [x, y] = [scale.x(index), scale.y(point.y)];
    group.append(s("line", { x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }), s("circle", { cx: x, cy: y, r: 4.5 }));
    told.replaceChildren(h("b", {}, values.write(point.y)), h("span", {}, point.text), point.aside && h("span", { class: "sr" }, ` ${point.aside}`));
    told.style.left = `${Math.max(70, Math.min(scale.width - 70, x))}px`;
  }

  box.addEventListener("pointermove", (event) => {
    if (scale === null || (byKeys && liesStill(event))) return;
    byKeys = false;
    const x = event.clientX - drawing.getBoundingClientRect().left;
    choose(nearest(points.map((_, index) => scale.x(index)), x));
  });
  box.addEventListener("pointerleave", () => { if (!byKeys) choose(null); });
  box.addEventListener("blur", () => { byKeys = false; choose(null); });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined || points.length === 0) return;
    event.preventDefault();
    byKeys = true;
    const from = chosen ?? (step < 0 ? points.length : -1);
    choose(Math.max(0, Math.min(points.length - 1, from + step)));
  });
  new ResizeObserver(draw).observe(box);
  return { element: box, show };
}

function makeScale(values, points, limit, curves, width) {
  const shown = [...points.flatMap((point) => [point.low ?? point.y, point.high ?? point.y]), ...curves.flatMap((curve) => curve.values), ...values.holds, ...(limit ? [limit.y] : [])];
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const step = values.steps.find((one) => (most - least) / one <= 5) ?? values.steps.at(-1);
  const low = Math.max(values.least, Math.floor(least / step) * step);
  const high = Math.min(values.most, Math.max(low + step, Math.ceil(most / step) * step));
  const inner = width - EDGE.left - EDGE.right;
  return {
    width, low, high, step,
    x: (index) => EDGE.left + ((index + 0.75) / (points.length + 0.5)) * inner,
    y: (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom),
  };
}

/** Marks at `x` among the points: between those that they came between, side by side where they are several. */
function placeMarks(marks, points) {
  const gaps = marks.map((mark) => points.filter((point) => point.at < mark.at).length);
  return marks.map((mark, index) => {
    const same = gaps.filter((gap) => gap === gaps[index]).length;
    const before = gaps.slice(0, index).filter((gap) => gap === gaps[index]).length;
    return { ...mark, x: gaps[index] - 1 + (before + 1) / (same + 1) };
  });
}

function drawGrid(values, points, scale) {
  const parts = [];
  for (let value = scale.low; value <= scale.high + 1e-9; value += scale.step) {
    const y = scale.y(value);
    parts.push(s("line", { class: "grid", x1: EDGE.left, x2: scale.width - EDGE.right, y1: y, y2: y }));
    parts.push(s("text", { class: "tick", x: EDGE.left - 8, y: y + 4, "text-anchor": "end" }, values.write(value, scale.step)));
  }
  const most = Math.max(2, Math.min(5, Math.floor(scale.width / 130), points.length));
  const ticks = [...new Set(Array.from({ length: most }, (_, place) => Math.round((place * (points.length - 1)) / Math.max(1, most - 1))))];
  const times = timeLine(ticks.map((index) => points[index].at));
  for (const [place, index] of ticks.entries()) {
    const text = points[index].tick ?? times[place];
    if (place > 0 && text === (points[ticks[place - 1]].tick ?? times[place - 1])) continue;
    const anchor = points.length === 1 ? "middle" : index === 0 ? "start" : index === points.length - 1 ? "end" : "middle";
    parts.push(s("text", { class: "tick", x: scale.x(index), y: HEIGHT - 6, "text-anchor": anchor }, text));
  }
  return parts;
}

function drawMarks(marks, scale) {
  const free = [-Infinity, -Infinity]; // where the next name may begin, in each of two rows
  const lines = [];
  const names = []; // drawn over all lines
  for (const mark of marks) {
    const x = scale.x(mark.x);
    const wide = 7 * mark.text.length;
    const anchor = x > scale.width - 30 ? "end" : x < EDGE.left + 10 ? "start" : "middle";
    const begin = x - { end: wide, middle: wide / 2, start: 0 }[anchor];
    const row = free.findIndex((place) => begin >= place);
    const top = EDGE.top - 8 - (row === 0 ? HEAD : 0);
    lines.push(s("line", { class: `mark ${mark.tone}`, x1: x, x2: x, y1: top + 2, y2: HEIGHT - EDGE.bottom }, s("title", {}, mark.title)));
    if (row < 0) continue;
    free[row] = begin + wide + 6;
    names.push(s("text", { class: `mark ${mark.tone}`, x, y: top - 2, "text-anchor": anchor }, mark.text, s("title", {}, mark.title)));
  }
  return [...lines, ...names];
}

/** A level across, with its name on it. */
function drawLimit(limit, scale) {
  if (!limit) return [];
  const y = scale.y(limit.y);
  return [
    s("line", { class: "limit", x1: EDGE.left, x2: scale.width - EDGE.right, y1: y, y2: y }),
    s("text", { class: "limit", x: EDGE.left + 4, y: y - 5 }, limit.text),
  ];
}

/** Other lines over the same points, without dots. */
function drawCurves(curves, scale) {
  const path = (values) => values.map((value, index) => `${scale.x(index).toFixed(1)},${scale.y(value).toFixed(1)}`);
  return curves.map(({ values, tone }) => s("path", { class: `curve ${tone}`, d: `M${path(values).join("L")}` }));
}

/** Small arrows above the points that something began with. */
function drawMoves(moves, scale) {
  const top = EDGE.top - 12;
  return moves.map(({ index, title }) => {
    const x = scale.x(index);
    return s("path", { class: "move", d: `M${x - 3.5},${top}L${x + 3.5},${top}L${x},${top + 7}Z` }, s("title", {}, title));
  });
}

function drawLines(points, scale) {
  const radius = points.length > 40 ? 1.5 : 2.5;
  const dots = points.map((point, index) => s("circle", { class: "point", cx: scale.x(index), cy: scale.y(point.y), r: radius }));
  return [...cut(points).flatMap(([from, until]) => drawLine(points.slice(from, until), from, scale)), ...dots];
}

/** Beginnings and ends of the runs of points with one `part`. */
function cut(points) {
  const begins = points.flatMap((point, index) => (index === 0 || point.part !== points[index - 1].part ? [index] : []));
  return begins.map((from, place) => [from, begins[place + 1] ?? points.length]);
}

function drawLine(points, from, scale) {
  const path = (values) => values.map((value, index) => `${scale.x(from + index).toFixed(1)},${scale.y(value).toFixed(1)}`);
  const banded = points[0].low !== undefined;
  const lows = points.map((point) => point.low ?? point.y);
  const highs = points.map((point) => point.high ?? point.y);
  if (points.length === 1) {
    const x = scale.x(from);
    return banded ? [s("line", { class: "reach", x1: x, x2: x, y1: scale.y(lows[0]), y2: scale.y(highs[0]) })] : [];
  }
  const band = banded && s("path", { class: "band", d: `M${[...path(highs), ...path(lows).reverse()].join("L")}Z` });
  const line = s("path", { class: "line", d: `M${path(points.map((point) => point.y)).join("L")}` });
  return [band, line].filter(Boolean);
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
