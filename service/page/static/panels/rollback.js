// Going back to an earlier version, with a reason for the ledger.

import { find, get, post } from "../parts/api.js";
import { complaint, fill, h } from "../parts/dom.js";

/** Ask to which version and why, and do it. */
export async function askForRollback(context) {
  const { known, base } = context;
  const select = h("select", { id: "back-to" });
  const reason = h("input", { id: "back-reason", required: true, maxlength: 1000, autocomplete: "off", placeholder: "what people will read in the ledger" });
  const actor = h("input", { id: "back-actor", maxlength: 200, autocomplete: "name", value: localStorage.getItem("ratchet.actor") ?? "" });
  const said = h("div", {});
  const go = h("button", { class: "main bad" }, "Roll back");
  const close = () => { dialog.close(); dialog.remove(); };

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    const body = { reason: reason.value.trim() };
    if (actor.value.trim()) body.actor = actor.value.trim();
    if (select.value) body.to = Number(select.value);
    try {
      const done = await post(`${base}/rollback`, body);
      localStorage.setItem("ratchet.actor", actor.value.trim());
      fill(said, h("p", { class: "done", role: "status" }, `Version ${done.to} is production again.`));
      go.hidden = true;
      cancel.textContent = "Close";
      context.wake();
      setTimeout(context.wake, 700);
    } catch (error) {
      fill(said, complaint(error));
      go.disabled = false;
    }
  }

  const cancel = h("button", { type: "button", onclick: close }, "Cancel");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "back-title", oncancel: (event) => { event.preventDefault(); close(); } },
    h(
      "form",
      { onsubmit: submit },
      h("h2", { id: "back-title" }, `Roll back from version ${known.model.version}`),
      h("p", { class: "muted" }, "Servers swap at once, without dropping a request. What was learned by the version gone back from no longer counts as new."),
      h("label", { for: "back-to" }, "To"), select,
      h("label", { for: "back-reason" }, "Why"), reason,
      h("label", { for: "back-actor" }, "Who (optional)"), actor,
      said,
      h("div", { class: "row end" }, h("span", { class: "push" }), cancel, go),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
  const past = await earlier(base, known.model).catch(() => ({ versions: [], before: true }));
  // Where nothing is named `previous`, as after going back to the first version, a version has to be chosen.
  if (past.before) select.append(h("option", { value: "" }, "the version before"));
  select.append(...past.versions.map((version) => h("option", { value: String(version) }, `version ${version}`)));
}

/** Versions other than production, the newest first, the registry's or those of the ledger; is one `previous`? */
async function earlier(base, model) {
  const listed = (await find(`${base}/versions`))?.versions;
  const told = async () => (await get(`${base}/ledger?limit=200`)).entries.flatMap((one) => [one.to_version, one.from_version]);
  const numbers = listed?.map((one) => one.version) ?? (await told());
  const versions = new Set(numbers.filter((one) => one !== null && one !== model.version));
  const before = listed === undefined || listed.some((one) => one.aliases.includes("previous"));
  return { versions: [...versions].sort((one, other) => other - one), before };
}
