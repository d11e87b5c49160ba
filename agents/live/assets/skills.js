// The map of what workers have shown: each worker's skill for each type of task.

import { element, header, more, show } from "./elements.js";
import { amount, count, seconds } from "./wording.js";

export class Skills {
  constructor(model) {
    this.model = model;
    this.section = document.getElementById("skills");
    this.head = this.section.querySelector("thead tr");
    this.body = this.section.querySelector("tbody");
    this.legend = document.getElementById("skills-legend");
    this.more = document.getElementById("skills-more");
    this.drawn = null;
  }

  draw() {
    const { skills, run } = this.model;
    if (this.drawn === skills) return;
    this.drawn = skills;
    this.section.hidden = !skills;
    if (!skills) return;
    const hasCosts = run.cost > 0 || run.budget !== null;
    this.legend.textContent = `skill ± uncertainty, the chance of success at difficulty ${skills.difficulty}, results, pace${hasCosts ? `, cost in ${run.unit}` : ""}`;
    const columns = skills.columns.map(([name, isNamed]) => header("col", `${isNamed ? "skill " : ""}${name || "(no type)"}`));
    this.head.replaceChildren(header("col", "Worker"), ...columns);
    this.body.replaceChildren(...skills.rows.map(([worker, cells]) => {
      const row = document.createElement("tr");
      row.append(header("row", worker), ...cells.map((cell) => drawCell(cell, hasCosts)));
      return row;
    }));
    const [workers, types] = skills.hidden;
    show(this.more, more([workers, "workers"], [types, "types"]));
  }
}

function drawCell(cell, hasCosts) {
  if (!cell) return element("td", "no results", "none");
  const [skill, deviation, chance, results, paceMs, cost, blocked] = cell;
  const made = element("td", "", `k${Math.round(10 * chance)}`);
  const last = [paceMs === null ? "" : seconds(paceMs), hasCosts && cost !== null ? amount(cost) : ""].filter(Boolean);
  made.append(
    element("b", `${skill.toFixed(1)} ± ${deviation.toFixed(1)}`),
    element("span", `${(100 * chance).toFixed(0)} % · ${count(results)} ${results === 1 ? "result" : "results"}`),
  );
  if (last.length) made.append(element("span", last.join(" · ")));
  if (blocked) made.append(element("span", `blocked: ${blocked}`));
  return made;
}
