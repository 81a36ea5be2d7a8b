// Renders /openapi.json; nothing is loaded from elsewhere.
const make = (tag, text = "", className = "") => {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
};

const example = (title, value) => {
  const box = document.createElement("details");
  const text = make("pre", JSON.stringify(value, (key, v) =>
    (Array.isArray(v) && v.length > 20 && typeof v[0] === "number" ? [...v.slice(0, 4), "…"] : v), 2));
  text.tabIndex = 0;
  box.append(make("summary", title), text);
  return box;
};

const table = (rows) => {
  const node = document.createElement("table");
  for (const [name, text] of rows) {
    const row = node.insertRow();
    const head = make("th", name);
    head.scope = "row";
    row.append(head, make("td", text));
  }
  return node;
};

const article = (path, verb, it) => {
  const node = document.createElement("article");
  const title = make("h2", path);
  title.prepend(make("span", verb.toUpperCase(), "verb"));
  node.append(title, make("p", it.summary), make("p", it.description || "", "soft"));
  if (it.parameters) {
    node.append(table(it.parameters.map((p) => [p.name, p.description || p.schema.type || ""])));
  }
  const body = it.requestBody?.content || {};
  const types = Object.keys(body);
  if (types.length) node.append(make("p", `Body: ${types.join(", ")}`, "note"));
  for (const type of types) if (body[type].example) node.append(example(`Example ${type}`, body[type].example));
  const answer = it.responses["200"]?.content?.["application/json"]?.example;
  if (answer) node.append(example("Example of an answer", answer));
  const list = document.createElement("details");
  list.append(make("summary", "Answers"), table(Object.entries(it.responses).map(([s, r]) => [s, r.description])));
  node.append(list);
  return node;
};

const api = await (await fetch("/openapi.json")).json();
document.getElementById("about").textContent = api.info.description.replaceAll("\n", " ");
for (const id of ["here", "here2"]) document.getElementById(id).textContent = location.origin;
for (const [path, verbs] of Object.entries(api.paths)) {
  for (const [verb, it] of Object.entries(verbs)) document.getElementById("routes").append(article(path, verb, it));
}
