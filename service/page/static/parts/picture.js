// A picture file to ask about, and what the model will see of it.

import { h } from "./dom.js";

const KINDS = ["image/png", "image/jpeg"];

/** The control of an image field in colour; see `makeField`. */
export function makePicture(config, id, _send, signal) {
  const [height, width] = config.shape;
  const seen = h("canvas", { class: "seen picture", width, height, role: "img", "aria-label": "What the model sees" });
  const chosen = h("img", { class: "picked", alt: "", hidden: true });
  const told = h("small", { class: "note", "aria-live": "polite" });
  const file = h("input", { type: "file", accept: KINDS.join(), class: "sr", id, onchange: () => take(file.files[0]) });
  const drop = h("label", { class: "drop", for: id }, chosen, h("span", {}, "Choose a picture, or drop or paste one here"));
  let value = null;

  for (const name of ["dragover", "dragenter"]) drop.addEventListener(name, (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const [pasted] = event.clipboardData?.files ?? [];
    if (pasted !== undefined && drop.isConnected) take(pasted);
  }, { signal });

  async function take(given) {
    if (given === undefined) return;
    try {
      const bitmap = await createImageBitmap(given);
      const sent = config.resize !== null && KINDS.includes(given.type);
      show(bitmap);
      value = { name: given.name, size: [bitmap.width, bitmap.height], url: sent ? await asUrl(given) : seen.toDataURL("image/png") };
      tell();
    } catch {
      told.textContent = `${given.name} is no picture that this browser reads`;
    }
    file.value = "";
    file.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** About as the service will resize it, which alone decides. */
  function show(bitmap) {
    const brush = seen.getContext("2d");
    Object.assign(brush, { imageSmoothingQuality: "high", fillStyle: "#fff" });
    brush.fillRect(0, 0, width, height);
    const scales = [width / bitmap.width, height / bitmap.height];
    const scale = config.resize === "crop" ? Math.max(...scales) : Math.min(...scales);
    const [w, t] = config.resize === "stretch" ? [width, height] : [bitmap.width * scale, bitmap.height * scale];
    brush.drawImage(bitmap, (width - w) / 2, (height - t) / 2, w, t);
  }

  function tell() {
    told.textContent = value === null ? "" : `${value.name}, ${value.size.join(" × ")}`;
    chosen.hidden = value === null;
    if (value !== null) chosen.src = value.url;
    else seen.getContext("2d").clearRect(0, 0, width, height);
  }

  return {
    element: h("div", { class: "drawing" }, file, drop,
      h("div", { class: "row pad-tools" }, h("figure", {}, seen, h("figcaption", {}, "about what the model sees")), told)),
    draft: () => value,
    async set(given) {
      value = given?.url === undefined ? null : given;
      tell();
      if (value === null) return;
      const image = new Image();
      image.src = value.url;
      await image.decode();
      show(image);
    },
    read() {
      if (value === null) throw Object.assign(new Error("Choose a picture first."), { name: "Unfinished" });
      return value.url;
    },
  };
}

function asUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
