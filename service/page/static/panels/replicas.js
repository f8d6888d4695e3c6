// The servers that share one database: what each serves and since when, and which are not heard. Hidden where there is one.

import { badge, card, h, place } from "../parts/dom.js";
import { ago } from "../parts/format.js";

const TONES = { serving: "good", draining: "warn", silent: "bad" };
const TOLD = { serving: "serves", draining: "about to end", silent: "silent" };

/** The card; `show` takes what /health says of all servers, and of the one that answers. */
export function replicasCard() {
  const told = place(h("div", {}), drawReplicas);
  const element = card("Replicas", told.element);
  element.setAttribute("aria-label", "Replicas");
  element.hidden = true;

  function show(replicas, server) {
    const cutOff = server?.cut_off ?? null;
    const known = replicas ?? [];
    element.hidden = cutOff === null && known.length < 2 && known.every((one) => one.state === "serving");
    if (!element.hidden) told.show(known, cutOff, server?.address ?? "");
  }
  return { element, show };
}

function drawReplicas(replicas, cutOff, here) {
  return [
    cutOff !== null && h("p", { class: "note warn", role: "status" }, `This server, ${here}, is cut off from the database `, h("span", {}, "since ", ago(cutOff.since)), ". It goes on with the versions that it has; promotions do not come here, and what the other servers do is not known."),
    replicas.length > 0 && h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Server", "State", "Serves", "Heard"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, replicas.map((one) => h("tr", {},
        h("td", {}, one.address, one.processes > 1 && h("small", {}, ` ${one.processes} processes`)),
        h("td", {}, badge(TOLD[one.state] ?? one.state, TONES[one.state] ?? "plain")),
        h("td", {}, Object.entries(one.serving).map(([name, { versions, since }]) => h("div", {}, `${name} ${versions.map((version) => `v${version}`).join(", ")} `, h("small", {}, "since ", ago(since))))),
        h("td", {}, ago(one.seen_at))))))),
  ];
}
