// Where it looks.
import { $, complain, it, make, nameOf, say } from "./base.js";
import { explain } from "./server.js";

let showing = [];  // object URLs of overlays

export function forget() {
  document.querySelectorAll(".overlay").forEach((node) => node.remove());
  showing.forEach((url) => URL.revokeObjectURL(url));
  showing = [];
}

export async function drawSaliency(blob = it.pictures[it.current]?.blob, found = it.pictures[it.current]?.found) {
  const wanted = $("saliency").checked && Boolean(blob && found && found.faces.length);
  $("scale").hidden = !wanted;
  if (!wanted) {
    forget();
    return;
  }
  const { signal } = it.asking;
  try {
    for (const [n, face] of found.faces.slice(0, 8).entries()) {
      const map = await explain(blob, face, "map", signal);
      if (!$("saliency").checked) return;
      if (n === 0) forget();  // until here those of the last frame stay
      cover(n, face, URL.createObjectURL(map));
    }
  } catch (error) {
    complain(error);
  }
}

function cover(n, face, url) {
  showing.push(url);
  for (const parent of [$("boxes").children[n], $("faces").children[n]?.querySelector(".look")]) {
    if (!parent) continue;
    const image = make("img", "overlay");
    image.src = url;
    image.alt = parent.tagName === "BUTTON" ? "" : say("overlay", nameOf(face.label));
    image.style.transform = it.stream ? "scaleX(-1)" : "";
    parent.append(image);
  }
}
