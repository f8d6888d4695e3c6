// A pad to draw on, with pointer or keyboard, and what the model will see of it.

import { h } from "./dom.js";
import { fromPicture, fromRange, fromStrokes, toRange, trace } from "./ink.js";

const PIXELS = 320;
const PEN = 0.06;
const STEP = 1 / 24;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP = "Draw with mouse, finger or pen. By keyboard: arrows move, Space sets the pen down or lifts it, Backspace undoes, Delete clears, Enter asks.";

/** The control of an image field; see `makeField`. */
export function makePad(config, id, send, signal) {
  const [height, width] = config.shape;
  const tall = Math.round((PIXELS * height) / width);
  const canvas = h("canvas", { id, class: "pad", width: PIXELS * 2, height: tall * 2, tabindex: 0, role: "application", "aria-label": `Drawing. ${HELP}` });
  const seen = h("canvas", { class: "seen", width, height, role: "img", "aria-label": "What the model sees" });
  const told = h("small", { class: "note", "aria-live": "polite" });
  const file = h("input", { type: "file", accept: "image/*", class: "sr", id: `${id}-file`, onchange: readFile });
  const held = new Set();
  let strokes = [];
  let picture = null;
  let cursor = [0.5, 0.5];
  let pen = null;
  let drawing = false;

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((one) => Math.max(0, Math.min(1, one)));
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    begin(place(event));
    drawing = true;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length > 0 ? all : [event]) strokes.at(-1).push(place(one));
    paint();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (!drawing) return;
      drawing = false;
      changed();
    });
  }

  function begin(point) {
    picture = null;
    strokes.push([point]);
    paint();
  }

  canvas.addEventListener("keydown", (event) => {
    const actions = { " ": lift, Enter: send, Backspace: undo, Delete: clear, Escape: () => { pen = null; say("pen up"); } };
    if (event.key in ARROWS) {
      held.add(event.key);
      move([...held].reduce(([x, y], key) => [x + ARROWS[key][0], y + ARROWS[key][1]], [0, 0]));
    } else if (event.key in actions && !event.ctrlKey && !event.metaKey) actions[event.key]();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("keyup", (event) => held.delete(event.key));
  canvas.addEventListener("blur", () => { held.clear(); pen = null; paint(); });
  canvas.addEventListener("focus", () => paint());

  function move([x, y]) {
    cursor = [cursor[0] + x * STEP, cursor[1] + y * STEP].map((one) => Math.max(0, Math.min(1, one)));
    if (pen !== null) {
      pen.push(cursor);
      changed();
    }
    paint();
  }

  function lift() {
    if (pen === null) {
      begin(cursor);
      pen = strokes.at(-1);
    } else pen = null;
    say(pen === null ? "pen up" : "pen down");
    changed();
  }

  function say(text) {
    told.textContent = text;
  }

  function undo() {
    pen = null;
    if (picture !== null) picture = null;
    else strokes.pop();
    changed();
  }

  function clear() {
    pen = null;
    picture = null;
    strokes = [];
    changed();
  }

  async function readFile() {
    const [given] = file.files;
    if (given === undefined) return;
    try {
      const bitmap = await createImageBitmap(given);
      strokes = [];
      picture = fromPicture(bitmap, height, width);
      say(`${given.name} is what will be sent`);
    } catch {
      say(`${given.name} is no picture that this browser reads`);
    }
    file.value = "";
    changed();
  }

  const pixels = () => picture ?? fromStrokes(strokes, height, width);

  function changed() {
    paint();
    canvas.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function paint() {
    const brush = canvas.getContext("2d");
    const ink = getComputedStyle(canvas).color;
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    if (picture !== null) {
      brush.imageSmoothingEnabled = false;
      brush.drawImage(asCanvas(picture), 0, 0, canvas.width, canvas.height);
    }
    brush.setTransform(canvas.width, 0, 0, canvas.width, 0, 0);
    const toPad = ([x, y]) => [x, (y * height) / width];
    Object.assign(brush, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: ink, fillStyle: ink });
    for (const stroke of strokes) trace(brush, stroke.map(toPad));
    if (canvas.matches(":focus-visible")) drawCursor(brush, toPad(cursor), pen !== null);
    const image = pixels() ?? fromNothing(height, width);
    seen.getContext("2d").drawImage(asCanvas(image), 0, 0);
  }

  const buttons = h(
    "div",
    { class: "row pad-tools" },
    h("figure", {}, seen, h("figcaption", {}, "what the model sees")),
    h("span", { class: "push" }),
    h("button", { type: "button", class: "quiet", onclick: undo }, "Undo"),
    file,
    h("label", { class: "button quiet", for: file.id }, "Use a picture"),
  );
  requestAnimationFrame(paint);
  // Ink has the colour of text, which changes with the theme.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal });
  const themes = new MutationObserver(paint);
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  signal.addEventListener("abort", () => themes.disconnect(), { once: true });

  return {
    element: h("div", { class: "drawing" }, canvas, buttons, told, h("small", { class: "note" }, HELP)),
    draft: () => ({ strokes, picture }),
    set(value) {
      if (Array.isArray(value)) [strokes, picture] = [[], fromRange(value, config.range)];
      else [strokes, picture] = [value?.strokes ?? [], value?.picture ?? null];
      pen = null;
      paint();
    },
    read() {
      const image = pixels();
      if (image === null) throw Object.assign(new Error("Draw something first."), { name: "Unfinished" });
      return toRange(image, config.range);
    },
  };
}

const fromNothing = (height, width) => Array.from({ length: height }, () => new Array(width).fill(0));

function asCanvas(rows) {
  const canvas = new OffscreenCanvas(rows[0].length, rows.length);
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(canvas.width, canvas.height);
  rows.flat().forEach((ink, at) => image.data.set([255 * ink, 255 * ink, 255 * ink, 255], at * 4));
  brush.putImageData(image, 0, 0);
  return canvas;
}

function drawCursor(brush, [x, y], down) {
  brush.save();
  Object.assign(brush, { lineWidth: 0.008, strokeStyle: down ? "#d33" : "#888" });
  brush.beginPath();
  brush.arc(x, y, PEN * 0.7, 0, 2 * Math.PI);
  brush.stroke();
  brush.restore();
}
