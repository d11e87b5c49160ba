// The map of what workers have shown: each worker's skill for each type of task.

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
    const hidden = [workers && `${count(workers)} more workers`, types && `${count(types)} more types`].filter(Boolean);
    this.more.hidden = !hidden.length;
    this.more.textContent = `and ${hidden.join(" and ")}`;
  }
}

function header(scope, text) {
  const made = document.createElement("th");
  made.scope = scope;
  made.textContent = made.title = text;
  return made;
}

function line(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function drawCell(cell, hasCosts) {
  const made = document.createElement("td");
  if (!cell) {
    made.className = "none";
    made.textContent = "no results";
    return made;
  }
  const [skill, deviation, chance, results, paceMs, cost, blocked] = cell;
  made.className = `k${Math.round(10 * chance)}`;
  const last = [paceMs === null ? "" : seconds(paceMs), hasCosts && cost !== null ? amount(cost) : ""].filter(Boolean);
  made.append(
    line("b", `${skill.toFixed(1)} ± ${deviation.toFixed(1)}`),
    line("span", `${(100 * chance).toFixed(0)} % · ${count(results)} ${results === 1 ? "result" : "results"}`),
  );
  if (last.length) made.append(line("span", last.join(" · ")));
  if (blocked) made.append(line("span", `blocked: ${blocked}`));
  return made;
}
