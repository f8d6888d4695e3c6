// Elements made by function calls; text is always text, never markup.

import { SAID_ABOVE } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Properties that begin with `on` are listeners; null, false and undefined are left out. */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

function build(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled") element[key] = value;
    else if (key === "style") for (const [name, text] of Object.entries(value)) element.style.setProperty(name, text);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** Replace what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/**
 * Replace what is in an element, and keep what a person has done there: where the focus is, which details are open, how
 * far tables are scrolled. Parts are known again by `data-key` around them and by what they say, not by their place.
 */
export function redraw(element, ...children) {
  const focused = element.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const open = new Set(all(element, "details[open]").map(nameOf));
  const scrolls = all(element, ".scroll").map((one) => [one.scrollLeft, one.scrollTop]);
  fill(element, ...children);
  for (const one of all(element, "details")) if (open.has(nameOf(one))) one.open = true;
  all(element, ".scroll").forEach((one, place) => { [one.scrollLeft, one.scrollTop] = scrolls[place] ?? [0, 0]; });
  if (focused !== null) all(element, FOCUSABLE).find((one) => nameOf(one) === focused)?.focus({ preventScroll: true });
}

const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";
const all = (element, selector) => [...element.querySelectorAll(selector)];

function nameOf(element) {
  const said = element.querySelector(":scope > summary") ?? element;
  const key = element.closest("[data-key]")?.dataset.key ?? "";
  return JSON.stringify([element.tagName, key, said.getAttribute("aria-label") ?? said.getAttribute("href") ?? said.textContent]);
}

/** A place that is drawn again only when what it shows has changed, so that selections stay too. */
export function place(element, draw) {
  let shown;
  return {
    element,
    show(...values) {
      const now = JSON.stringify([new Date().toDateString(), values]); // times of today are told without the day
      if (now === shown) return;
      shown = now;
      redraw(element, draw(...values) ?? []);
    },
    forget() {
      shown = undefined;
    },
    /** Say that it could not be asked for, above what is known from before; the header says it of a whole server. */
    fail(error) {
      shown = undefined;
      const isSaid = SAID_ABOVE.has(error.status) && element.childElementCount > 0;
      const said = element.querySelector(":scope > .complaint");
      if (!isSaid && said?.textContent === error.message) return; // it is not read out again
      said?.remove();
      if (!isSaid) element.prepend(complaint(error));
    },
  };
}

/** A titled box. */
export function card(title, ...children) {
  return h("section", { class: "card" }, title && h("h2", {}, title), ...children);
}

/** Names beside values; entries without a value are left out. */
export function facts(entries) {
  const shown = entries.filter((one) => one && one[1] !== null && one[1] !== undefined && one[1] !== false && one[1] !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A word with a colour: good, warn, bad, or plain. */
export function badge(text, tone = "plain") {
  return h("span", { class: `badge ${tone}` }, text);
}

/** A link that leaves the page, if it is one; other text stays text. */
export function outward(url, text) {
  const safe = typeof url === "string" && /^https?:\/\//.test(url);
  return safe ? h("a", { href: url, target: "_blank", rel: "noopener" }, text, h("span", { class: "out", "aria-hidden": "true" }, "↗")) : null;
}

/** A bar from 0 to 1. */
export function meter(share, label, tone = "") {
  const percent = Math.round(100 * Math.max(0, Math.min(1, share)));
  return h(
    "div",
    { class: `meter ${tone}`, role: "img", "aria-label": label },
    h("i", { style: { width: `${percent}%` } }),
  );
}

/** What went wrong, for people. */
export function complaint(error) {
  return h("p", { class: "complaint", role: "alert" }, error.message);
}
