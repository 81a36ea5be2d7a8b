// Faces. Nodes are kept from frame to frame, so that bars move and a screen reader is left alone.
import { $, answerOf, it, make, nameOf, percent, say, status } from "./base.js";

export function drawFaces(found) {
  const { faces } = found;
  if (!faces.length) status(`${say("none")} ${say("noneHint")}`, true);
  else status(say("faces", faces.length) + (it.language === "en" ? ": " : "：") + faces.map(answerOf).join(it.language === "en" ? ", " : "、"));
  fit($("faces"), faces.length, makeFace);
  fit($("boxes"), faces.length, makeBox);
  faces.forEach((face, n) => {
    fillFace($("faces").children[n], face, n);
    fillBox($("boxes").children[n], face, n, found.picture);
  });
  point(Math.min(it.now, Math.max(faces.length - 1, 0)));
}

function fit(parent, count, create) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.append(create(parent.children.length));
}

function makeBox(n) {
  const box = make("button", "box");
  box.type = "button";
  box.append(make("b"));
  box.addEventListener("click", () => {
    point(n);
    $("faces").children[n].scrollIntoView({ block: "nearest" });
  });
  return box;
}

function fillBox(node, face, n, picture) {
  const box = face.box || { left: 0, top: 0, width: picture.width, height: picture.height, angle: 0 };
  const left = it.stream ? picture.width - box.left - box.width : box.left;
  const share = (value, whole) => `${(100 * value) / whole}%`;
  node.style.left = share(left, picture.width);
  node.style.top = share(box.top, picture.height);
  node.style.width = share(box.width, picture.width);
  node.style.height = share(box.height, picture.height);
  node.style.rotate = `${it.stream ? -box.angle : box.angle}deg`;
  node.classList.toggle("unsure", face.unsure || face.not_a_face);
  node.classList.toggle("low", box.top < 0.08 * picture.height);
  node.querySelector("b").textContent = answerOf(face);
  node.setAttribute("aria-label", say("box", n + 1, answerOf(face)));
}

function makeFace(n) {
  const node = make("li", "face");
  const look = make("div", "look");
  const canvas = make("canvas");
  canvas.width = canvas.height = 176;
  canvas.setAttribute("aria-hidden", "true");
  look.append(canvas);
  const text = make("div");
  text.append(make("h2"), make("p", "why"));
  const bars = make("ul", "bars");
  bars.append(...it.model.classes.map(() => {
    const bar = make("li", "bar");
    const rail = make("span", "rail");
    rail.setAttribute("aria-hidden", "true");
    rail.append(make("i"));
    bar.append(make("span"), rail, make("span"));
    return bar;
  }));
  node.append(look, text, bars);
  node.addEventListener("pointerenter", () => point(n));
  return node;
}

function fillFace(node, face, n) {
  node.classList.toggle("unsure", face.unsure || face.not_a_face);
  const title = node.querySelector("h2");
  title.replaceChildren(answerOf(face), " ", make("small", "", say("face", n + 1)));
  node.querySelector(".why").textContent = face.not_a_face
    ? say("notFaceWhy")
    : face.unsure
      ? say("unsureWhy", nameOf(face.label), percent(face.confidence))
      : say("sure", percent(face.confidence));
  const bars = node.querySelectorAll(".bar");
  it.model.classes.forEach((name, k) => {
    const share = face.probabilities[name];
    const [label, rail, number] = bars[k].children;
    label.textContent = nameOf(name);
    rail.firstChild.style.width = `${100 * share}%`;
    number.textContent = percent(share);
    bars[k].classList.toggle("top", name === face.label);
  });
  cut(node.querySelector("canvas"), face.box);
}

function cut(canvas, box) {
  const source = it.stream ? $("video") : $("shown");
  const width = source.videoWidth || source.naturalWidth;
  const height = source.videoHeight || source.naturalHeight;
  if (!width) return;
  const drawn = it.pictures[it.current]?.found?.picture || it.live?.picture || { width, height };
  const place = box || { left: 0, top: 0, width: drawn.width, height: drawn.height, angle: 0 };
  const scale = canvas.width / place.width;
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.scale(it.stream ? -scale : scale, canvas.height / place.height);
  pen.rotate((-place.angle * Math.PI) / 180);
  pen.translate(-place.left - place.width / 2, -place.top - place.height / 2);
  pen.drawImage(source, 0, 0, drawn.width, drawn.height);
}

function point(n) {
  it.now = n;
  [...$("faces").children].forEach((node, k) => node.classList.toggle("now", k === n));
  [...$("boxes").children].forEach((node, k) => node.classList.toggle("now", k === n));
}
