// What the run has cost, by type, model and day, and what learning has saved.

import { amount, count } from "./wording.js";

export class Costs {
  constructor(model) {
    this.model = model;
    this.section = document.getElementById("costs");
    this.tables = document.getElementById("costs-tables");
    this.learning = document.getElementById("costs-learning");
    this.legend = document.getElementById("costs-legend");
    this.drawn = null;
  }

  draw() {
    const { costs, run } = this.model;
    if (this.drawn === costs) return;
    this.drawn = costs;
    this.section.hidden = !costs;
    if (!costs) return;
    this.legend.textContent = `in ${run.unit}`;
    this.learning.hidden = !costs.learning;
    this.learning.textContent = `Learning: ${costs.learning}.`;
    const models = costs.models.map(([name, attempts, into, out, cost]) => [name, count(attempts), count(into), count(out), amount(cost)]);
    const types = costs.types.map(([name, cost]) => [name || "(no type)", amount(cost)]);
    const days = costs.days.map(([day, cost]) => [day, amount(cost)]);
    this.tables.replaceChildren(...[
      table(["model", "attempts", "tokens in", "tokens out", "cost"], models),
      table(["type", "cost"], types),
      table(["day", "cost"], days.length > 1 ? days : []),
    ].filter(Boolean));
  }
}

function table(headings, rows) {
  if (!rows.length) return null;
  const made = document.createElement("table");
  made.append(document.createElement("thead"), document.createElement("tbody"));
  made.tHead.append(line(headings, "th", "col"));
  made.tBodies[0].append(...rows.map((row) => line(row, "td", "row")));
  return made;
}

function line(texts, tag, scope) {
  const made = document.createElement("tr");
  made.append(...texts.map((text, index) => {
    const cell = document.createElement(index ? tag : "th");
    if (cell.tagName === "TH") cell.scope = scope;
    if (index) cell.className = "number";
    cell.textContent = cell.title = text;
    return cell;
  }));
  return made;
}
