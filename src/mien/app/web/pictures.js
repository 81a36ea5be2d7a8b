// Pictures: chosen, dropped or pasted; asked about; shown in a strip.
import { $, complain, it, make, pause, say, status } from "./base.js";
import { stopCamera } from "./camera.js";
import { drawFaces } from "./faces.js";
import { drawSaliency } from "./saliency.js";
import { Failed, predict } from "./server.js";

export function add(files) {
  const good = [...files].filter((file) => file.type.startsWith("image/"));
  $("wrong").textContent = good.length ? "" : say("notPicture");
  if (!good.length) return;
  stopCamera();
  const first = it.pictures.length;
  it.pictures.push(...good.map((blob) => ({ blob, url: URL.createObjectURL(blob), found: null })));
  look(first);
}

export async function look(index) {
  it.current = index;
  it.now = 0;
  it.asking.abort();
  it.asking = new AbortController();
  const picture = it.pictures[index];
  $("wrong").textContent = "";
  $("invite").hidden = true;
  $("view").hidden = $("clear").hidden = false;
  $("shown").hidden = false;
  $("shown").src = picture.url;
  $("boxes").replaceChildren();
  $("faces").replaceChildren();
  drawStrip();
  if (!picture.found) {
    status(say("looking"), true);
    try {
      picture.found = await asked(picture.blob, it.asking.signal);
    } catch (error) {
      complain(error);
      return;
    }
  }
  if (it.current === index) {
    await $("shown").decode().catch(() => {});
    drawFaces(picture.found);
    drawSaliency();
  }
}

export async function asked(blob, signal) {
  if (it.model && blob.size > it.model.max_body) {
    throw new Failed(413, say("tooBig", Math.round(it.model.max_body / 2 ** 20)));
  }
  for (let turn = 0; ; turn += 1) {
    try {
      return await predict(blob, signal);
    } catch (error) {
      if (error.status !== 503 || turn > 4) throw error;
      status(say("busy"), true);
      await pause(1000 * (error.after || 1) * (1 + Math.random()));
    }
  }
}

export function drawStrip() {
  $("strip").hidden = it.pictures.length < 2;
  $("strip").replaceChildren(...it.pictures.map((picture, index) => {
    const item = make("li");
    const button = make("button");
    const image = make("img");
    image.src = picture.url;
    image.alt = say("picture", index + 1);
    button.type = "button";
    button.setAttribute("aria-current", String(index === it.current));
    button.addEventListener("click", () => look(index));
    button.append(image);
    item.append(button);
    return item;
  }));
}

export function clear() {
  it.asking.abort();
  it.asking = new AbortController();
  stopCamera();
  it.pictures.forEach((picture) => URL.revokeObjectURL(picture.url));
  it.pictures = [];
  it.current = -1;
  $("view").hidden = $("clear").hidden = $("strip").hidden = $("scale").hidden = true;
  $("invite").hidden = false;
  $("shown").removeAttribute("src");
  $("boxes").replaceChildren();
  $("faces").replaceChildren();
  $("wrong").textContent = "";
  status("");
}
