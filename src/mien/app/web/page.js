// The page: pictures in, faces with bars out. Everything stays in this tab and on this server.
import { $, complain, it, say, status } from "./base.js";
import { startCamera, stopCamera } from "./camera.js";
import { drawCard, drawReports } from "./card.js";
import { drawFaces } from "./faces.js";
import { add, clear, drawStrip } from "./pictures.js";
import { drawSaliency } from "./saliency.js";
import { facts, unlock } from "./server.js";

function speak() {
  document.documentElement.lang = it.language;
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  $("language").textContent = say("language");
  $("language").lang = say("other");
  $("shown").alt = say("shownAlt");
  document.title = `mien · ${say("title")}`;
  drawCard();
  drawStrip();
  if (it.current >= 0 && it.pictures[it.current].found) drawFaces(it.pictures[it.current].found);
  else if (!it.stream) status("");
}

$("file").addEventListener("change", () => {
  add($("file").files);
  $("file").value = "";
});
$("camera").addEventListener("click", () => (it.stream ? stopCamera() : startCamera()));
$("clear").addEventListener("click", () => {
  clear();
  $("stage").focus();
});
$("saliency").addEventListener("change", () => drawSaliency());
$("language").addEventListener("click", () => {
  it.language = say("other");
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
    it.model = await facts();
    drawReports();
    speak();
  } catch (error) {
    complain(error);
  }
}

speak();
begin();
