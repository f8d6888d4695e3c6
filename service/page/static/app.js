// The frame of the page: which view is shown, what the servers say, the key and the theme.

import { ApiError, get, hasKey, onState, pause, poll, state } from "./parts/api.js";
import { badge, fill, h, place } from "./parts/dom.js";
import { renewTimes, tone, words } from "./parts/format.js";
import { askForKey } from "./parts/key.js";
import { overview } from "./views/overview.js";
import { useCase } from "./views/use_case.js";

const HEALTH_SECONDS = 5;
const main = document.getElementById("main");
const banner = place(document.getElementById("banner"), drawBanner);
const side = place(document.getElementById("side"), drawSide);
const crumbs = place(document.getElementById("crumbs"), drawCrumbs);
const pill = document.getElementById("health");

/** What views share: the newest health, who hears of it, how to ask for it now, and the titles of use cases. */
const shared = { health: null, listeners: new Set(), titles: new Map(), look: () => heart.wake() };
let leaving = new AbortController();
let here = { name: null, tab: null };

function route() {
  const [name = "", tab = ""] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  leaving.abort();
  leaving = new AbortController();
  shared.listeners.clear();
  const moved = here.name !== name;
  here = { name, tab };
  const view = name === "" ? overview(shared, leaving.signal) : useCase(shared, name, tab, leaving.signal);
  fill(main, view);
  document.title = name === "" ? "Ratchet" : `${shared.titles.get(name) ?? name} · Ratchet`;
  crumbs.show(name, shared.titles.get(name) ?? name);
  side.show(sideEntries(), name);
  if (moved) main.focus({ preventScroll: true });
}

async function askHealth(signal) {
  const health = await get("/health", { signal });
  shared.health = health;
  await learnTitles(Object.keys(health.use_cases), signal);
  side.show(sideEntries(), here.name);
  crumbs.show(here.name, shared.titles.get(here.name) ?? here.name);
  if (here.name) document.title = `${shared.titles.get(here.name) ?? here.name} · Ratchet`;
  drawHealth();
  for (const listener of shared.listeners) listener(health);
}

async function learnTitles(names, signal) {
  const unknown = names.filter((name) => !shared.titles.has(name));
  if (unknown.length === 0 || state().refusal) return;
  try {
    const told = await Promise.all(unknown.map((name) => get(`/v1/${name}/schema`, { signal })));
    for (const one of told) shared.titles.set(one.use_case, one.title);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // names do, until the titles can be read
  }
}

const sideEntries = () =>
  Object.entries(shared.health?.use_cases ?? {}).map(([name, told]) => ({
    name, title: shared.titles.get(name) ?? name, state: told.state, version: told.version, refused: Object.keys(told.refused).length,
  }));

function drawSide(entries, current) {
  const link = (href, here, ...content) => h("a", { href, "aria-current": here ? "page" : null }, content);
  return [
    link("#/", current === "", h("span", {}, "All use cases")),
    entries.map((one) =>
      link(
        `#/${one.name}`,
        one.name === current,
        h("i", { class: `dot ${one.refused ? "bad" : tone(one.state)}`, title: words(one.state) }),
        h("span", {}, one.title),
        h("small", {}, one.version === null ? words(one.state) : `v${one.version}`),
      ),
    ),
  ];
}

function drawCrumbs(name, title) {
  return name === "" ? [] : [h("span", { "aria-hidden": "true" }, "/"), h("a", { href: `#/${name}` }, title)];
}

function drawHealth() {
  const { reachable } = state();
  const health = shared.health;
  const now = !reachable ? "away" : (health?.status ?? "");
  const text = !reachable ? "no answer" : now === "ok" ? "all well" : now === "" ? "…" : drawTrouble(health);
  fill(pill, h("i", { class: `dot ${tone(now)}` }), h("span", {}, text));
  pill.title = "State of the servers";
  const away = Object.entries(health?.dependencies ?? {}).filter(([name, told]) => name in CONSEQUENCES && told.ok === false);
  banner.show(reachable, state().refusal !== null, away.map(([name, told]) => [name, told.error]));
}

function drawTrouble(health) {
  const away = Object.keys(SERVERS).filter((name) => health.dependencies[name]?.ok === false);
  if (away.length > 0) return `${away.map((name) => SERVERS[name]).join(", ")} away`;
  if (health.dependencies.supervisor?.ok === false) return "a server has trouble";
  const refused = Object.values(health.use_cases).some((one) => Object.keys(one.refused ?? {}).length > 0);
  if (refused) return "a version is refused";
  const postponed = Object.values(health.use_cases).some((one) => one.postponed);
  return postponed ? "a version cannot be loaded now" : "production needs a look";
}

const CONSEQUENCES = {
  database: "Labels and retrains are refused for now; predictions go on and are kept on disk.",
  mlflow: "What serves goes on; promotions, rollbacks and comparisons wait for it.",
  prefect: "What serves goes on; retrains, drift checks and the inbox wait for it.",
  worker: "What serves goes on; retrains, drift checks and the inbox wait for it.",
};
const SERVERS = { database: "PostgreSQL", mlflow: "MLflow", prefect: "Prefect", worker: "The worker" };

function drawBanner(reachable, refused, away) {
  if (!reachable) {
    return h(
      "p",
      { class: "banner bad" },
      h("b", {}, "The service does not answer."),
      " What you see is from before. This page asks again by itself; ",
      h("code", {}, "ratchet status"),
      " says more on its machine. ",
      h("button", { type: "button", onclick: () => heart.wake() }, "Ask now"),
    );
  }
  const told = away.map(([name, error]) =>
    h(
      "details",
      { class: "banner warn" },
      h("summary", {}, h("b", {}, `${SERVERS[name] ?? name} is away. `), CONSEQUENCES[name] ?? ""),
      h("code", {}, String(error)),
    ),
  );
  if (!refused) return told;
  const asks = hasKey() ? "The server refuses your key. " : "This server asks for an API key. ";
  return [
    h("p", { class: "banner warn" }, h("b", {}, asks), h("button", { type: "button", onclick: changeKey }, "Give a key")),
    told,
  ];
}

async function changeKey() {
  if (await askForKey()) {
    drawKey();
    heart.wake();
    route();
  }
}

function drawKey() {
  fill(document.getElementById("key"), hasKey() ? [badge("", "good dot"), "API key"] : "API key");
}

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };

function drawTheme() {
  const now = document.documentElement.dataset.theme ?? "auto";
  const button = document.getElementById("theme");
  fill(button, h("span", { "aria-hidden": "true" }, "◐"), THEMES[now]);
  button.setAttribute("aria-label", `Theme: ${THEMES[now]}; change it`);
}

function changeTheme() {
  const names = Object.keys(THEMES);
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = names[(names.indexOf(now) + 1) % names.length];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("ratchet.theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("ratchet.theme", next);
  }
  drawTheme();
}

document.getElementById("theme").addEventListener("click", changeTheme);
document.getElementById("key").addEventListener("click", changeKey);
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
window.addEventListener("hashchange", route);
onState(drawHealth);
setInterval(renewTimes, 5000);
drawTheme();
drawKey();
const heart = poll(HEALTH_SECONDS, askHealth, new AbortController().signal);
await Promise.race([heart.first, pause(1500)]);
if (here.name === null) route(); // whoever has gone somewhere meanwhile is there already
