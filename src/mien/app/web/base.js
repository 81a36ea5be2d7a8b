// What the page's parts share: its state, its words, and where it says how things stand.
import { Failed } from "./server.js";
import { WORDS } from "./words.js";

export const $ = (id) => document.getElementById(id);
export const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export const it = {
  language: (navigator.language || "").toLowerCase().startsWith("zh") ? "zh-Hant" : "en",
  model: null,
  pictures: [],  // { blob, url, found }
  current: -1,
  now: 0,  // the face that is pointed at
  stream: null,  // of the camera
  live: null,  // the answer to its last frame
  asking: new AbortController(),
};

export const say = (key, ...given) => {
  const said = WORDS[it.language][key];
  return typeof said === "function" ? said(...given) : said;
};
export const nameOf = (label) => (it.model ? it.model.words[it.language].classes[label] || label : label);
export const answerOf = (face) =>
  face.not_a_face ? say("notFace") : face.unsure ? say("unsure") : nameOf(face.label);
export const percent = (share) =>
  share < 0.005 ? "<1 %" : share > 0.995 ? ">99 %" : `${Math.round(100 * share)} %`;

export function status(text, quiet = false) {
  if ($("status").textContent !== text) $("status").textContent = text;
  $("status").classList.toggle("quiet", quiet);
}

export function complain(error) {
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
