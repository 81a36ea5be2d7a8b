// The camera: one frame at a time, the next when the answer is here.
import { $, complain, it, make, pause, say, status } from "./base.js";
import { drawFaces } from "./faces.js";
import { asked, clear } from "./pictures.js";
import { drawSaliency, forget } from "./saliency.js";

export async function startCamera() {
  if (!navigator.mediaDevices) {
    $("wrong").textContent = say("cameraHttps");
    return;
  }
  clear();
  try {
    it.stream = await navigator.mediaDevices.getUserMedia({
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
  $("video").srcObject = it.stream;
  await $("video").play();
  status(say("looking"), true);
  watch(it.stream);
}

async function watch(mine) {
  const canvas = make("canvas");
  const video = $("video");
  while (it.stream === mine) {
    const scale = Math.min(1, 480 / video.videoWidth);
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const frame = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    try {
      const found = await asked(frame, it.asking.signal);
      if (it.stream !== mine) return;
      it.live = found;
      drawFaces(found);
      await drawSaliency(frame, found);
      if (!document.hidden) await pause(60);
      while (document.hidden && it.stream === mine) await pause(300);
    } catch (error) {
      if (error.name !== "AbortError") stopCamera();
      complain(error);
      return;
    }
  }
}

export function stopCamera() {
  if (!it.stream) return;
  it.stream.getTracks().forEach((track) => track.stop());
  it.stream = it.live = null;
  it.asking.abort();
  it.asking = new AbortController();
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
