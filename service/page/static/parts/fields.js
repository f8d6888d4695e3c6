// One control for each field of a record, by its type.

import { h } from "./dom.js";
import { makePad } from "./pad.js";
import { makePicture } from "./picture.js";

const FEW = 4;
const LONG = 300;

/** A value that cannot be sent yet. */
class Unfinished extends Error {
  name = "Unfinished";
}

/**
 * A labelled control.
 *
 * `draft` keeps what was put in; `send` is called when the control itself asks for the answer; `signal` ends it.
 * `read` gives the value as JSON, `set` puts one in (null clears), `refuse` says what is wrong with it.
 */
export function makeField(config, draft, send, signal) {
  const id = `field-${config.name}`;
  const note = h("small", { class: "note", id: `${id}-note` }, allowed(config));
  const wrong = h("small", { class: "wrong", id: `${id}-wrong`, role: "alert" });
  const control = CONTROLS[config.type](config, id, send, signal);
  if (draft[config.name] !== undefined) control.set(draft[config.name]);
  const element = h(
    "div",
    { class: `field ${config.type}` },
    h("label", { for: id }, config.title, config.nullable && h("small", {}, " optional")),
    control.element,
    note,
    wrong,
  );
  for (const name of ["input", "change"]) element.addEventListener(name, () => { draft[config.name] = control.draft(); });
  const target = () => element.querySelector(`#${CSS.escape(id)}`);

  return {
    name: config.name,
    element,
    read: () => control.read(),
    set(value) {
      control.set(value);
      draft[config.name] = control.draft();
      this.refuse(null);
    },
    refuse(message) {
      wrong.textContent = message?.replace(/^field '[^']*': /, "") ?? "";
      target().setAttribute("aria-invalid", String(message !== null));
      target().setAttribute("aria-describedby", message === null ? note.id : wrong.id);
      return true;
    },
  };
}

const isFlag = (config) => config.type === "integer" && config.minimum === 0 && config.maximum === 1;

function allowed(config) {
  const { minimum: low, maximum: high, type } = config;
  if (isFlag(config)) return "";
  if (type === "number" || type === "integer") {
    const noun = type === "integer" ? "whole number" : "number";
    if (low !== null && high !== null) return `${noun}, ${low} to ${high}`;
    if (low !== null) return `${noun}, at least ${low}`;
    if (high !== null) return `${noun}, at most ${high}`;
    return type === "integer" ? noun : "";
  }
  return "";
}

const CONTROLS = {
  number: (config, id) => numeric(config, id, "any"),
  integer: (config, id) => (isFlag(config) ? choice(config, id, [["yes (1)", 1], ["no (0)", 0]]) : numeric(config, id, "1")),
  boolean: (config, id) => choice(config, id, [["yes", true], ["no", false]]),
  category: (config, id) =>
    config.categories.length > 0 ? choice(config, id, config.categories.map((one) => [one, one])) : open(config, id),
  text: writing,
  datetime: time,
  image: (config, ...rest) => (config.shape.length === 3 ? makePicture : makePad)(config, ...rest),
};

function numeric(config, id, step) {
  const input = h("input", { id, type: "number", step, min: config.minimum, max: config.maximum, inputmode: step === "1" ? "numeric" : "decimal" });
  return {
    element: input,
    draft: () => input.value,
    set: (value) => { input.value = value ?? ""; },
    read: () => {
      if (input.validity.badInput) throw new Unfinished(`${config.title}: this is not a number`);
      return input.value === "" ? null : Number(input.value);
    },
  };
}

function choice(config, id, options) {
  const places = new Map(options.map(([, value], index) => [String(value), index]));
  const select = h("select", { id }, h("option", { value: "" }, config.nullable ? "not known" : "choose"),
    options.map(([text], index) => h("option", { value: String(index) }, text)));
  return {
    element: select,
    draft: () => (select.value === "" ? null : options[Number(select.value)][1]),
    set: (value) => { select.value = value === null || value === undefined ? "" : String(places.get(String(value)) ?? ""); },
    read: () => (select.value === "" ? null : options[Number(select.value)][1]),
  };
}

function open(config, id) {
  const list = h("datalist", { id: `${id}-known` }, config.known.map((one) => h("option", { value: one })));
  const input = h("input", { id, list: list.id, maxlength: config.max_length, autocomplete: "off" });
  return { element: h("div", {}, input, list), draft: () => input.value, ...textual(input, config) };
}

function writing(config, id, send) {
  const long = config.max_length > LONG;
  const input = long
    ? h("textarea", { id, rows: FEW, maxlength: config.max_length })
    : h("input", { id, maxlength: config.max_length, autocomplete: "off" });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); }
  });
  return { element: input, draft: () => input.value, ...textual(input, config) };
}

function textual(input, config) {
  return {
    set: (value) => { input.value = value ?? ""; },
    read: () => (input.value === "" && (config.nullable || config.type === "category") ? null : input.value),
  };
}

function time(config, id) {
  const input = h("input", { id, type: "datetime-local", step: "1" });
  return {
    element: input,
    draft: () => input.value,
    // Shown in the clock of this machine, sent in UTC.
    set: (value) => {
      const at = new Date(value ?? "");
      input.value = Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    },
    read: () => (input.value === "" ? null : new Date(input.value).toISOString()),
  };
}
