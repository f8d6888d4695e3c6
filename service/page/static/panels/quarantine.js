// Rows that were refused: why, how many, and a way to try them again. Hidden where there are none.

import { post } from "../parts/api.js";
import { card, complaint, fill, h, place } from "../parts/dom.js";
import { count, many } from "../parts/format.js";

/** The card; `show` takes what the status says of the quarantine. */
export function quarantineCard(context) {
  const said = h("div", { role: "status" });
  const reasons = place(h("div", {}), drawReasons);
  const button = h("button", { type: "button", onclick: retry }, "Try again");
  const hint = h("small", { class: "muted" }, "As the configuration is now; rows that are valid become feedback.");
  const element = card("Quarantine", reasons.element, h("div", { class: "row wrap" }, button, hint), said);
  element.hidden = true;

  async function retry() {
    button.disabled = true;
    try {
      const { rows } = await post(`${context.base}/quarantine/retry`);
      fill(said, h("p", { class: "done" }, `The worker tries ${many(rows, "row")} again.`));
      context.wake();
    } catch (error) {
      fill(said, complaint(error));
    } finally {
      button.disabled = false;
    }
  }

  function show(quarantine) {
    element.hidden = !quarantine?.rows;
    if (quarantine?.rows) reasons.show(quarantine);
    else fill(said);
  }
  return { element, show };
}

function drawReasons({ rows, reasons }) {
  return [
    h("p", {}, `${many(rows, "row")} refused, and kept with the reason.`),
    h("ul", {}, reasons.map((one) => h("li", {}, h("b", {}, count(one.rows)), ` ${one.example} `,
      h("small", { class: "muted" }, one.line === null ? one.source : `${one.source} line ${one.line}`,
        one.others?.length > 0 && `; also ${one.others.join(" and ")}`)))),
  ];
}
