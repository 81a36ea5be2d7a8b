// Calls to this server, and to nothing else.
export class Failed extends Error {
  constructor(status, message, after) {
    super(message);
    this.status = status;
    this.after = after;
  }
}

const told = async (reply) => {
  let message = reply.statusText;
  try {
    message = (await reply.json()).error.message;
  } catch {
    // no JSON: the status must do
  }
  return new Failed(reply.status, message, Number(reply.headers.get("Retry-After")) || 0);
};

const call = async (path, options = {}) => {
  let reply;
  try {
    reply = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, "");
  }
  if (!reply.ok) throw await told(reply);
  return reply;
};

export const facts = async () => (await call("/v1/model")).json();

export const unlock = (token) =>
  call("/v1/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });

const post = (path, blob, signal) =>
  call(path, { method: "POST", body: blob, headers: { "Content-Type": blob.type }, signal });

export const predict = async (blob, signal) => (await post("/v1/predict", blob, signal)).json();

export const explain = async (blob, face, form, signal) => {
  const query = new URLSearchParams({ form, target: face.label });
  if (face.box) {
    const { left, top, width, height, angle } = face.box;
    query.set("box", [left, top, width, height, angle].join(","));
  } else query.set("whole", "true");
  return (await post(`/v1/explain?${query}`, blob, signal)).blob();
};
