// The table of schedules: when each is due, and how its last tasks ended.

import { LABELS } from "./model.js";
import { count } from "./wording.js";

const OUTCOME = 5;
const NUMBERS_FROM = 6;

export class Schedules {
  constructor(model) {
    this.model = model;
    this.section = document.getElementById("schedules");
    this.body = this.section.querySelector("tbody");
    this.more = document.getElementById("schedules-more");
    this.drawn = null;
  }

  draw() {
    const { schedules } = this.model;
    if (this.drawn === schedules) return;
    this.drawn = schedules;
    this.section.hidden = !schedules || !schedules.rows.length;
    if (this.section.hidden) return;
    this.body.replaceChildren(...schedules.rows.map(drawRow));
    this.more.hidden = !schedules.hidden;
    this.more.textContent = `and ${count(schedules.hidden)} more`;
  }
}

function drawRow(cells) {
  const row = document.createElement("tr");
  const remark = cells[cells.length - 1];
  row.append(...cells.slice(0, -1).map((text, column) => {
    const cell = document.createElement(column ? "td" : "th");
    if (!column) cell.scope = "row";
    if (column >= NUMBERS_FROM) cell.className = "number";
    if (column === OUTCOME && text !== "-") cell.append(drawOutcome(text));
    else cell.textContent = text;
    return cell;
  }));
  if (remark) {
    const line = document.createElement("span");
    line.className = "remark";
    line.textContent = remark;
    row.firstElementChild.append(line);
  }
  return row;
}

function drawOutcome(outcome) {
  const status = outcome === "open" ? "in_progress" : outcome;
  const made = document.createElement("span");
  made.className = "pill";
  made.dataset.status = status;
  made.textContent = LABELS[status] || outcome;
  return made;
}
