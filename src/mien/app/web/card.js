// The model's card, and a run's report.
import { $, it, make, percent, say } from "./base.js";

export function drawCard() {
  if (!it.model) return;
  const words = it.model.words[it.language];
  $("card-what").textContent = words.what;
  const rows = words.facts || [
    [say("factModel"), it.model.name],
    [say("factInput"), say("inputOf", it.model.input.size, it.model.input.channels)],
    [say("factUnsure"), it.model.unsure_below ? percent(it.model.unsure_below) : say("neverUnsure")],
    [say("factDetector"), it.model.detector],
    [say("factBackend"), it.model.backend],
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

export function drawReports() {
  const there = it.model.reports.length > 0;
  $("reports").hidden = $("to-reports").hidden = !there;
  if (!there) return;
  const show = (number) => {
    $("report").title = it.model.reports[number];
    $("report").src = `/reports/${number}`;
  };
  const buttons = it.model.reports.map((name, number) => {
    const button = make("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => show(number));
    return button;
  });
  $("report-names").replaceChildren(...(buttons.length > 1 ? buttons : [make("span", "soft", it.model.reports[0])]));
  show(0);
}
