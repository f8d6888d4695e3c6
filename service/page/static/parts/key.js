// The dialog that takes an API key. It is kept for this tab only, and is never shown again.

import { hasKey, setKey } from "./api.js";
import { h } from "./dom.js";

/** Ask; true when a key was given or forgotten. */
export function askForKey() {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", id: "key-field", autocomplete: "off", spellcheck: "false", required: true });
    const done = (changed) => { field.value = ""; dialog.close(); dialog.remove(); resolve(changed); };
    const give = (event) => {
      event.preventDefault();
      setKey(field.value.trim());
      done(true);
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": "key-title", oncancel: (event) => { event.preventDefault(); done(false); } },
      h(
        "form",
        { onsubmit: give },
        h("h2", { id: "key-title" }, "API key"),
        h("p", { class: "muted" }, "Sent with every call of this tab, and forgotten when the tab is closed. ",
          h("code", {}, "ratchet keys add"), " makes one."),
        h("label", { for: "key-field" }, "Key"),
        field,
        h(
          "div",
          { class: "row end" },
          hasKey() && h("button", { type: "button", class: "quiet", onclick: () => { setKey(""); done(true); } }, "Forget the key"),
          h("span", { class: "push" }),
          h("button", { type: "button", onclick: () => done(false) }, "Cancel"),
          h("button", { class: "main" }, "Use it"),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
