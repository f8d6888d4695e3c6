// An answer: the label, how sure, what else it might be, which version said so; and what is right.

import { get, post } from "../parts/api.js";
import { badge, complaint, fill, h } from "../parts/dom.js";
import { percent, score, span } from "../parts/format.js";

/** Classes up to which bars keep their order, and labels are buttons. */
const FEW = 12;
const MOST_BARS = 8;

/** The place of answers; `show` takes what predict answered. */
export function makeAnswer(context, schema) {
  const empty = () => h("p", { class: "empty" }, "The answer shows here, with its scores, and you can say what is right.");
  const element = h("div", { class: "answer" }, empty());
  return {
    element,
    clear: () => fill(element, empty()),
    show(told, milliseconds) {
      const [prediction] = told.predictions;
      fill(
        element,
        drawLabel(prediction),
        drawOrigin(told.model, prediction, milliseconds),
        drawScores(prediction, schema),
        drawItems(prediction.recommendations),
        makeFeedback(context, schema, prediction),
        makeTrace(prediction.id),
      );
    },
  };
}

const labelsOf = (prediction) => prediction.labels ?? [prediction.label];

function drawLabel(prediction) {
  const labels = labelsOf(prediction);
  return h("div", { class: "said", role: "status" },
    labels.length === 0 ? h("span", { class: "muted" }, "no label is sure enough") : labels.map((one) => h("strong", { class: one.length < 4 ? "short" : "" }, one)),
    h("span", { class: "muted" }, labels.length === 0 ? "" : percent(prediction.score)));
}

function drawOrigin(model, prediction, milliseconds) {
  const source = prediction.source ?? model.source;
  return h("p", { class: "row wrap muted" },
    model.version === null ? badge("no version yet", "warn") : badge(`version ${model.version}`, "plain"),
    source !== "model" && badge(source === "none" ? "no link was sure enough" : `by ${source}`, "plain"),
    h("span", {}, `in ${span(milliseconds / 1000)}, with the way there and back`));
}

function drawScores(prediction, schema) {
  const entries = Object.entries(prediction.scores);
  const given = new Set(labelsOf(prediction));
  const few = entries.length <= FEW;
  const order = new Map(schema.classes.map((one, place) => [one, place]));
  const sorted = entries.sort(few
    ? ([one], [other]) => (order.get(one) ?? 0) - (order.get(other) ?? 0)
    : ([, one], [, other]) => other - one);
  const longest = Math.max(...entries.map(([label]) => label.length));
  const list = (some) => h("ol", { class: "bars", style: { "--name": `${0.58 * Math.min(longest, 24) + 0.8}em` }, "aria-label": "Scores" }, some.map(bar));
  const bar = ([label, value]) => h("li", { class: given.has(label) ? "given" : "" },
    h("span", { class: "name", title: label }, label), h("span", { class: "track" }, h("i", { style: { width: `${(100 * value).toFixed(1)}%` } })), h("span", { class: "n" }, score(value, 3)));
  if (entries.length === 0) return null;
  return [
    list(few ? sorted : sorted.slice(0, MOST_BARS)),
    !few && h("details", {}, h("summary", {}, `${sorted.length - MOST_BARS} others`), list(sorted.slice(MOST_BARS))),
  ];
}

function drawItems(items) {
  if (!items?.length) return null;
  return h("div", {}, h("h3", {}, "Recommended"), h("ul", { class: "items" }, items.map((one) =>
    h("li", {}, h("b", {}, one.title), one.why && h("span", { class: "muted" }, ` ${one.why}`), " ", (Array.isArray(one.tags) ? one.tags : []).map((tag) => badge(tag))))));
}

/** Controls that send the true label of one prediction; another one later corrects it. */
function makeFeedback(context, schema, prediction) {
  const said = h("p", { class: "muted", role: "status" });

  async function send(label, pressed) {
    try {
      const told = await post(`${context.base}/feedback`, { items: [{ prediction_id: prediction.id, label }] });
      const [refused] = told.rejected;
      if (refused) {
        fill(said, complaint({ message: refused.reason }));
        return;
      }
      const what = told.corrected ? "Corrected" : told.duplicates ? "Known already" : "Stored";
      fill(said, `${what}: ${Array.isArray(label) ? label.join(", ") : label}. It counts towards the next retrain.`);
      for (const one of element.querySelectorAll("[aria-pressed]")) one.setAttribute("aria-pressed", String(one === pressed));
      context.wake();
    } catch (error) {
      fill(said, complaint(error));
    }
  }

  const control = schema.task === "multilabel" ? manyLabels(schema, prediction, send)
    : !schema.open_classes && schema.classes.length <= FEW ? buttons(schema, prediction, send) : oneOfMany(schema, prediction, send);
  const element = h("fieldset", { class: "feedback" }, h("legend", {}, "What is right?"), control, said);
  return element;
}

function buttons(schema, prediction, send) {
  return h("div", { class: "choices" }, schema.classes.map((label) =>
    h("button", { type: "button", class: label === prediction.label ? "guess" : "", "aria-pressed": "false",
      onclick: (event) => send(label, event.currentTarget) }, label)));
}

function suggested(schema, id) {
  return h("datalist", { id }, schema.classes.map((one) => h("option", { value: one })));
}

function oneOfMany(schema, prediction, send) {
  const list = suggested(schema, "known-labels");
  const field = h("input", { list: list.id, "aria-label": "The right label", autocomplete: "off", value: prediction.label,
    onfocus: (event) => event.target.select() });
  const go = () => { if (field.value.trim()) send(field.value.trim(), null); };
  return h("div", { class: "row" }, field, list, h("button", { type: "button", onclick: go }, "Send"));
}

function manyLabels(schema, prediction, send) {
  const chosen = new Set(labelsOf(prediction));
  const chips = h("div", { class: "choices" });
  const list = suggested(schema, "known-labels");
  const field = h("input", { list: list.id, "aria-label": "Another label", autocomplete: "off", placeholder: "another label" });
  const draw = () => fill(chips, [...chosen].map((label) => h("button", { type: "button", class: "guess", "aria-label": `Remove ${label}`,
    onclick: () => { chosen.delete(label); draw(); } }, label, h("span", { "aria-hidden": "true" }, " ×"))));
  const add = () => {
    if (field.value.trim()) chosen.add(field.value.trim());
    field.value = "";
    draw();
  };
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); add(); } });
  draw();
  return [chips, h("div", { class: "row" }, field, list, h("button", { type: "button", onclick: add }, "Add"),
    h("button", { type: "button", class: "main", onclick: () => { add(); send([...chosen], null); } }, "Send"))];
}

/** Where the answer comes from, asked for when it is opened. */
function makeTrace(id) {
  const place = h("div", {}, "…");
  async function open(event) {
    if (!event.target.open) return;
    try {
      const { prediction, ...rest } = await get(`/v1/trace/${id}`);
      fill(place, h("pre", {}, JSON.stringify({ ...rest, prediction: { ...prediction, record: undefined } }, null, 2)));
    } catch (error) {
      fill(place, complaint(error));
    }
  }
  return h("details", { class: "trace", ontoggle: open }, h("summary", {}, "Trace ", h("code", {}, id.slice(0, 8))), place);
}
