// A place to try a use case: make a record, see the answer, send back what is right.

import { ApiError, post } from "../parts/api.js";
import { makeAnswer } from "./answer.js";
import { card, complaint, fill, h } from "../parts/dom.js";
import { makeField } from "../parts/fields.js";

/** Records made here, by use case: kept while other views are looked at. */
const drafts = new Map();

/** The view. */
export function tryView(context) {
  const frame = h("div", { class: "grid try" });
  let shown = null;
  context.onNews(({ schema }) => {
    if (schema === null) return;
    const now = JSON.stringify([schema.fields, schema.classes]);
    if (shown === now) return;
    shown = now;
    fill(frame, makeForm(context, schema));
  });
  return frame;
}

function makeForm(context, schema) {
  const answer = makeAnswer(context, schema);
  const draft = drafts.get(context.name) ?? {};
  drafts.set(context.name, draft);
  const fields = schema.fields.map((one) => makeField(one, draft, () => form.requestSubmit(), context.signal));
  const said = h("div", {});
  const ask = h("button", { class: "main" }, "Answer");
  const form = h(
    "form",
    { class: `try-form ${schema.kind} ${schema.fields.length > 6 ? "dense" : schema.fields.length === 1 ? "single" : ""}`, onsubmit: submit, novalidate: true },
    h("div", { class: "fields" }, fields.map((one) => one.element)),
    said,
    h("div", { class: "row end" },
      schema.kind !== "image" && h("button", { type: "button", class: "quiet", onclick: () => fields.forEach((one) => one.set(schema.example[one.name])) }, "Fill in an example"),
      h("button", { type: "button", class: "quiet", onclick: clear }, "Clear"),
      h("span", { class: "push" }),
      ask),
  );

  function clear() {
    for (const one of fields) one.set(null);
    fill(said);
    answer.clear();
  }

  async function submit(event) {
    event.preventDefault();
    fill(said);
    for (const one of fields) one.refuse(null);
    ask.disabled = true;
    try {
      const record = Object.fromEntries(fields.map((one) => [one.name, one.read()]));
      const route = schema.taxonomy ? "recommend" : "predict";
      const started = performance.now();
      const told = await post(`${context.base}/${route}`, { records: [record] });
      answer.show(told, performance.now() - started);
      if (answer.element.getBoundingClientRect().top > innerHeight - 160) answer.element.scrollIntoView({ behavior: "smooth" });
    } catch (error) {
      if (error instanceof ApiError) refuse(error);
      else if (error.name === "Unfinished") fill(said, complaint(error));
      else throw error;
    } finally {
      ask.disabled = false;
    }
  }

  /** Each problem at its field; the rest below. */
  function refuse(error) {
    const problems = error.details?.problems ?? [];
    const placed = problems.filter((one) => fields.find((field) => field.name === one.field)?.refuse(one.message));
    if (problems.length === 0 || placed.length < problems.length) fill(said, complaint(error));
    form.querySelector("[aria-invalid=true]")?.focus();
  }

  const draw = schema.fields[0].shape?.length === 3 ? "Choose a picture" : "Draw";
  const title = { image: draw, text: "Write" }[schema.kind] ?? "Fill in";
  return [card(title, form), h("div", { class: "beside" }, card("Answer", answer.element))];
}
