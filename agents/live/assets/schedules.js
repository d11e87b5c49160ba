// The table of schedules: when each is due, and how its last tasks ended.

import { element, more, show } from "./elements.js";
import { LABELS } from "./model.js";

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
    this.section.hidden = !schedules;
    if (this.section.hidden) return;
    this.body.replaceChildren(...schedules.rows.map(drawRow));
    show(this.more, more([schedules.hidden, ""]));
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
  if (remark) row.firstElementChild.append(element("span", remark, "remark"));
  return row;
}

function drawOutcome(outcome) {
  const status = outcome === "open" ? "in_progress" : outcome;
  const made = element("span", LABELS[status] || outcome, "pill");
  made.dataset.status = status;
  return made;
}
