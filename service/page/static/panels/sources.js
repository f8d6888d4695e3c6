// Whose labels there are, how often they contradict each other, and which are held back. Hidden where one says all.

import { badge, card, h, place } from "../parts/dom.js";
import { ago, count, percent } from "../parts/format.js";

/** The card; `show` takes what the status says of the sources. */
export function sourcesCard(context) {
  const told = place(h("div", {}), (facts) => drawSources(facts, context.name));
  const element = card("Sources of labels", told.element);
  element.hidden = true;

  function show(facts) {
    element.hidden = !facts || (facts.sources.length < 2 && facts.warning === null);
    if (!element.hidden) told.show(facts);
  }
  return { element, show };
}

function drawSources({ sources, warning, counted_at: counted }, name) {
  return [
    warning !== null && h("p", { class: "note warn", role: "status" }, warning),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Source", "Labels", "Compared", "Contradicts others", "Counts"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, sources.map((one) => h("tr", {},
        h("td", {}, one.name), h("td", { class: "n" }, count(one.labels)), h("td", { class: "n" }, count(one.compared)),
        h("td", { class: "n" }, one.share === null ? "" : `${count(one.contradicts)} (${percent(one.share, 0)})`),
        h("td", {}, one.held ? [badge("held back", "warn"), " ", ago(one.held_since)] : one.told === "release" ? `yes, ${one.actor} said so` : "yes")))))),
    h("p", { class: "muted" }, counted && ["Counted ", ago(counted), ", when sources were held against each other last; ", h("code", {}, `ratchet sources list ${name}`), " counts anew. "], h("code", {}, `ratchet sources hold ${name} NAME`), " holds one back, ", h("code", {}, "release"), " lets it count."),
  ];
}
