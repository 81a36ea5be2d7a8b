// The page: pictures in, faces with bars out. Everything stays in this tab and on this server.
import { Failed, explain, facts, predict, unlock } from "./server.js";
import { WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

let language = (navigator.language || "").toLowerCase().startsWith("zh") ? "zh-Hant" : "en";
let model = null;
let pictures = [];  // { blob, url, found }
let current = -1;
let now = 0;  // the face that is pointed at
let stream = null;
let asking = new AbortController();
let showing = [];  // object URLs of overlays

const say = (key, ...given) => {
  const said = WORDS[language][key];
  return typeof said === "function" ? said(...given) : said;
};
const nameOf = (label) => (model ? model.words[language].classes[label] || label : label);
const answerOf = (face) =>
  face.not_a_face ? say("notFace") : face.unsure ? say("unsure") : nameOf(face.label);
const percent = (share) =>
  share < 0.005 ? "<1 %" : share > 0.995 ? ">99 %" : `${Math.round(100 * share)} %`;

function speak() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  $("language").textContent = say("language");
  $("language").lang = say("other");
  $("shown").alt = say("shownAlt");
  document.title = `mien · ${say("title")}`;
  drawCard();
  drawStrip();
  if (current >= 0 && pictures[current].found) drawFaces(pictures[current].found);
  else if (!stream) status("");
}

function status(text, quiet = false) {
  if ($("status").textContent !== text) $("status").textContent = text;
  $("status").classList.toggle("quiet", quiet);
}

function complain(error) {
  if (error.name === "AbortError") return;
  if (error instanceof Failed && error.status === 401) {
    $("token-form").hidden = false;
    $("token").focus();
    return;
  }
  const lost = error instanceof Failed && error.status === 0;
  $("wrong").textContent = lost ? say("lost") : error.message;
  status("");
}

// The model's card.

function drawCard() {
  if (!model) return;
  const words = model.words[language];
  $("card-what").textContent = words.what;
  const rows = words.facts || [
    [say("factModel"), model.name],
    [say("factInput"), say("inputOf", model.input.size, model.input.channels)],
    [say("factUnsure"), model.unsure_below ? percent(model.unsure_below) : say("neverUnsure")],
    [say("factDetector"), model.detector],
    [say("factBackend"), model.backend],
  ];
  $("card-facts").replaceChildren(...rows.map(([name, value]) => {
    const row = make("div");
    row.append(make("dt", "", name), make("dd", "", value));
    return row;
  }));
  $("card-parts").replaceChildren(...words.parts.map((part) => {
    const box = make("div", part.part);
    const list = make("ul");
    list.append(...part.lines.map((line) => make("li", "", line)));
    box.append(make("h3", "", part.title), list);
    return box;
  }));
}

function drawReports() {
  const there = model.reports.length > 0;
  $("reports").hidden = $("to-reports").hidden = !there;
  if (!there) return;
  const show = (number) => {
    $("report").title = model.reports[number];
    $("report").src = `/reports/${number}`;
  };
  const buttons = model.reports.map((name, number) => {
    const button = make("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => show(number));
    return button;
  });
  $("report-names").replaceChildren(...(buttons.length > 1 ? buttons : [make("span", "soft", model.reports[0])]));
  show(0);
}

// Pictures.

function add(files) {
  const good = [...files].filter((file) => file.type.startsWith("image/"));
  $("wrong").textContent = good.length ? "" : say("notPicture");
  if (!good.length) return;
  stopCamera();
  const first = pictures.length;
  pictures.push(...good.map((blob) => ({ blob, url: URL.createObjectURL(blob), found: null })));
  look(first);
}

async function look(index) {
  current = index;
  now = 0;
  asking.abort();
  asking = new AbortController();
  const picture = pictures[index];
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
      picture.found = await asked(picture.blob, asking.signal);
    } catch (error) {
      complain(error);
      return;
    }
  }
  if (current === index) {
    await $("shown").decode().catch(() => {});
    drawFaces(picture.found);
    drawSaliency();
  }
}

async function asked(blob, signal) {
  if (model && blob.size > model.max_body) {
    throw new Failed(413, say("tooBig", Math.round(model.max_body / 2 ** 20)));
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

function drawStrip() {
  $("strip").hidden = pictures.length < 2;
  $("strip").replaceChildren(...pictures.map((picture, index) => {
    const item = make("li");
    const button = make("button");
    const image = make("img");
    image.src = picture.url;
    image.alt = say("picture", index + 1);
    button.type = "button";
    button.setAttribute("aria-current", String(index === current));
    button.addEventListener("click", () => look(index));
    button.append(image);
    item.append(button);
    return item;
  }));
}

function clear() {
  asking.abort();
  asking = new AbortController();
  stopCamera();
  pictures.forEach((picture) => URL.revokeObjectURL(picture.url));
  pictures = [];
  current = -1;
  $("view").hidden = $("clear").hidden = $("strip").hidden = $("scale").hidden = true;
  $("invite").hidden = false;
  $("shown").removeAttribute("src");
  $("boxes").replaceChildren();
  $("faces").replaceChildren();
  $("wrong").textContent = "";
  status("");
}

// Faces. Nodes are kept from frame to frame, so that bars move and a screen reader is left alone.

function drawFaces(found) {
  const { faces } = found;
  if (!faces.length) status(`${say("none")} ${say("noneHint")}`, true);
  else status(say("faces", faces.length) + (language === "en" ? ": " : "：") + faces.map(answerOf).join(language === "en" ? ", " : "、"));
  fit($("faces"), faces.length, makeFace);
  fit($("boxes"), faces.length, makeBox);
  faces.forEach((face, n) => {
    fillFace($("faces").children[n], face, n);
    fillBox($("boxes").children[n], face, n, found.picture);
  });
  point(Math.min(now, Math.max(faces.length - 1, 0)));
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
  const left = stream ? picture.width - box.left - box.width : box.left;
  const share = (value, whole) => `${(100 * value) / whole}%`;
  node.style.left = share(left, picture.width);
  node.style.top = share(box.top, picture.height);
  node.style.width = share(box.width, picture.width);
  node.style.height = share(box.height, picture.height);
  node.style.rotate = `${stream ? -box.angle : box.angle}deg`;
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
  bars.append(...model.classes.map(() => {
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
  model.classes.forEach((name, k) => {
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
  const source = stream ? $("video") : $("shown");
  const width = source.videoWidth || source.naturalWidth;
  const height = source.videoHeight || source.naturalHeight;
  if (!width) return;
  const drawn = pictures[current]?.found?.picture || live?.picture || { width, height };
  const place = box || { left: 0, top: 0, width: drawn.width, height: drawn.height, angle: 0 };
  const scale = canvas.width / place.width;
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.scale(stream ? -scale : scale, canvas.height / place.height);
  pen.rotate((-place.angle * Math.PI) / 180);
  pen.translate(-place.left - place.width / 2, -place.top - place.height / 2);
  pen.drawImage(source, 0, 0, drawn.width, drawn.height);
}

function point(n) {
  now = n;
  [...$("faces").children].forEach((node, k) => node.classList.toggle("now", k === n));
  [...$("boxes").children].forEach((node, k) => node.classList.toggle("now", k === n));
}

// Where it looks.

function forget() {
  document.querySelectorAll(".overlay").forEach((node) => node.remove());
  showing.forEach((url) => URL.revokeObjectURL(url));
  showing = [];
}

async function drawSaliency(blob = pictures[current]?.blob, found = pictures[current]?.found) {
  const wanted = $("saliency").checked && Boolean(blob && found && found.faces.length);
  $("scale").hidden = !wanted;
  if (!wanted) {
    forget();
    return;
  }
  const { signal } = asking;
  try {
    const maps = [];
    for (const face of found.faces.slice(0, 8)) maps.push(await explain(blob, face, "map", signal));
    forget();
    maps.forEach((map, n) => {
      const url = URL.createObjectURL(map);
      showing.push(url);
      for (const parent of [$("boxes").children[n], $("faces").children[n]?.querySelector(".look")]) {
        if (!parent) continue;
        const image = make("img", "overlay");
        image.src = url;
        image.alt = parent.tagName === "BUTTON" ? "" : say("overlay", nameOf(found.faces[n].label));
        image.style.transform = stream ? "scaleX(-1)" : "";
        parent.append(image);
      }
    });
  } catch (error) {
    complain(error);
  }
}

// The camera: one frame at a time, the next when the answer is here.

let live = null;

async function startCamera() {
  if (!navigator.mediaDevices) {
    $("wrong").textContent = say("cameraHttps");
    return;
  }
  clear();
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" }, audio: false,
    });
  } catch {
    $("wrong").textContent = say("cameraNo");
    return;
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("invite").hidden = true;
  $("shown").hidden = true;
  $("view").hidden = $("video").hidden = $("clear").hidden = false;
  $("view").classList.add("live");
  $("video").srcObject = stream;
  await $("video").play();
  status(say("looking"), true);
  watch(stream);
}

async function watch(mine) {
  const canvas = make("canvas");
  const video = $("video");
  while (stream === mine) {
    const scale = Math.min(1, 480 / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const frame = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    try {
      const found = await asked(frame, asking.signal);
      if (stream !== mine) return;
      live = found;
      drawFaces(found);
      await drawSaliency(frame, found);
      if (!document.hidden) await pause(60);
      while (document.hidden && stream === mine) await pause(300);
    } catch (error) {
      if (error.name !== "AbortError") stopCamera();
      complain(error);
      return;
    }
  }
}

function stopCamera() {
  if (!stream) return;
  stream.getTracks().forEach((track) => track.stop());
  stream = live = null;
  asking.abort();
  asking = new AbortController();
  $("video").srcObject = null;
  $("video").hidden = $("view").hidden = $("clear").hidden = true;
  $("view").classList.remove("live");
  $("invite").hidden = false;
  $("camera").setAttribute("aria-pressed", "false");
  $("boxes").replaceChildren();
  $("faces").replaceChildren();
  forget();
  status("");
}

// What a person does.

$("file").addEventListener("change", () => {
  add($("file").files);
  $("file").value = "";
});
$("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
$("clear").addEventListener("click", () => {
  clear();
  $("stage").focus();
});
$("saliency").addEventListener("change", () => drawSaliency());
$("language").addEventListener("click", () => {
  language = say("other");
  speak();
});
$("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("wrong").textContent = "";
  try {
    await unlock($("token").value);
    $("token-form").hidden = true;
    await begin();
  } catch (error) {
    $("wrong").textContent = error.status === 401 ? say("tokenWrong") : error.message;
  }
  $("token").value = "";
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) add(files);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add(event.dataTransfer.files);
});
window.addEventListener("pagehide", stopCamera);

async function begin() {
  try {
    model = await facts();
    drawReports();
    speak();
  } catch (error) {
    complain(error);
  }
}

speak();
begin();
