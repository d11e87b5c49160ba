// What the run has cost, by type, model and day, and what learning has saved.

import { element, more, show, table } from "./elements.js";
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
    show(this.learning, costs.learning && `Learning: ${costs.learning}.`);
    const named = ([name, cost]) => [name || "(no type)", amount(cost)];
    const [models, types, days] = costs.hidden;
    this.tables.replaceChildren();
    for (const [headings, rows, hidden, what] of [
      [["model", "attempts", "tokens in", "tokens out", "cost"], costs.models.map(([name, ...counts]) => [name, ...counts.slice(0, 3).map(count), amount(counts[3])]), models, "models"],
      [["type", "cost"], costs.types.map(named), types, "types"],
      [["day", "cost"], costs.days.length > 1 ? costs.days.map(named) : [], days, "days"],
    ]) {
      if (!rows.length) continue;
      const part = element("div");
      part.append(table(headings, rows), element("p", more([hidden, what]), "muted"));
      this.tables.append(part);
    }
  }
}
