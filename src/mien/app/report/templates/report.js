(() => {
  "use strict";
  const panel = document.getElementById("panel");
  const source = document.getElementById("images");
  if (!panel || !source) return;
  const data = JSON.parse(source.textContent);
  const names = JSON.parse(panel.dataset.names);
  const FIRST = 20;
  let open = null;

  const make = (tag, text, attributes) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    return node;
  };

  const shareText = (thousandths) =>
    thousandths < 1 ? "<0.1 %" : (thousandths / 10).toFixed(1) + " %";

  const mapOf = (id) => {
    const figure = document.querySelector(`.example[data-id="${CSS.escape(id)}"]`);
    return figure ? figure.querySelectorAll("img")[2] : null;
  };

  const row = (image, columns) => {
    const [id, ...shares] = image;
    const line = make("tr");
    if (columns.picture) {
      const cell = make("td");
      const uri = data.pictures[id];
      if (uri) cell.append(make("img", undefined, { src: uri, alt: id, width: 48, height: 48 }));
      line.append(cell);
    }
    if (columns.map) {
      const cell = make("td");
      const map = mapOf(id);
      if (map) cell.append(make("img", undefined, { src: map.src, alt: map.alt, width: 48, height: 48 }));
      line.append(cell);
    }
    line.append(make("th", id, { scope: "row" }));
    const top = Math.max(...shares);
    for (const share of shares) {
      line.append(make("td", shareText(share), { class: share === top ? "p top" : "p" }));
    }
    return line;
  };

  const listing = (images, title) => {
    const box = make("div", undefined, {
      class: "scroll", tabindex: "0", role: "region", "aria-label": title,
    });
    const columns = {
      picture: images.some((image) => data.pictures[image[0]]),
      map: images.some((image) => mapOf(image[0])),
    };
    const table = make("table");
    const head = make("tr");
    if (columns.picture) head.append(make("td"));
    if (columns.map) head.append(make("th", panel.dataset.map, { scope: "col" }));
    head.append(make("th", panel.dataset.image, { scope: "col" }));
    for (const name of names) head.append(make("th", name, { scope: "col", class: "n" }));
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    const fill = (from, to) => images.slice(from, to).forEach((image) => body.append(row(image, columns)));
    fill(0, FIRST);
    table.append(make("caption", title), top, body);
    box.append(table);
    return [box, () => fill(FIRST, images.length)];
  };

  const close = () => {
    const back = open;
    open.setAttribute("aria-expanded", "false");
    open = null;
    panel.replaceChildren();
    back.focus();
  };

  const show = (button) => {
    if (open) open.setAttribute("aria-expanded", "false");
    open = button;
    button.setAttribute("aria-expanded", "true");
    const title = button.getAttribute("aria-label");
    const images = data.cells[`${button.dataset.i},${button.dataset.j}`] || [];
    const parts = [make("h3", title)];
    const end = make("button", panel.dataset.close, { type: "button" });
    end.addEventListener("click", close);
    if (images.length === 0) {
      parts.push(make("p", panel.dataset.none, { class: "hint" }));
    } else {
      const shown = Math.min(FIRST, images.length);
      parts.push(make("p", panel.dataset.listed.replace("{shown}", shown), { class: "hint" }));
      const [box, rest] = listing(images, title);
      parts.push(box);
      if (images.length > FIRST) {
        const more = make("button", panel.dataset.more.replace("{n}", images.length), { type: "button" });
        more.addEventListener("click", () => { rest(); more.remove(); box.focus(); });
        parts.push(more);
      }
    }
    panel.replaceChildren(...parts, end);
    panel.focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  };

  document.querySelectorAll("button.cell").forEach((button) => {
    button.addEventListener("click", () => (open === button ? close() : show(button)));
  });
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape" && open) close(); });
})();
