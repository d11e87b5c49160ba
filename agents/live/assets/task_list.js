// The list of tasks: of however many, only those in sight are elements.

import { LABELS, NOBODY, STATUSES } from "./model.js";
import { amount, count, seconds } from "./wording.js";

const ROW_PX = 36;
const BEYOND = 6;

export class TaskList {
  constructor(model, onOpen) {
    this.model = model;
    this.onOpen = onOpen;
    this.box = document.getElementById("tasks");
    this.card = this.box.parentElement;
    this.spacer = this.box.querySelector(".spacer");
    this.template = document.getElementById("task-row").content.firstElementChild;
    this.shown = document.getElementById("shown");
    this.pool = [];
    this.status = "";
    this.text = "";
    this.kind = ""; // such as "error ValueError" or "wait blocked"
    this.isReversed = false;
    this.chosen = -1;
    this.rows = [];
    this.chosenFor = null;
    this.box.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    this.box.addEventListener("click", (event) => {
      const element = event.target.closest(".row");
      if (element) this.open(element.place);
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.drawSoon()).observe(this.box);
  }

  choose({ status = this.status, text = this.text, kind = this.kind, isReversed = this.isReversed }) {
    Object.assign(this, { status, text: text.trim().toLowerCase(), kind, isReversed });
    this.chosenFor = null;
    this.chosen = -1;
    this.box.scrollTop = 0;
    this.drawSoon();
  }

  drawSoon() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  filter() {
    const { model, status, text, kind, isReversed } = this;
    if (this.chosenFor === model.version && this.rowsOf === model.rows) return;
    this.chosenFor = model.version;
    this.rowsOf = model.rows;
    const wanted = STATUSES.indexOf(status);
    let rows = model.rows;
    if (wanted >= 0 || text) {
      rows = rows.filter((row) => (wanted < 0 || row.status === wanted) && (!text || row.search.includes(text) || this.isOf(row, text)));
    }
    if (kind) rows = rows.filter((row) => this.isOfKind(row, kind));
    if (isReversed) rows = [...rows].reverse();
    this.rows = rows;
  }

  isOfKind(row, kind) {
    if (kind.startsWith("error ")) return row.status === 3 && row.kind === kind.slice("error ".length);
    return row.status === 0 && this.model.waitOf(row)[0] === kind.slice("wait ".length);
  }

  isOf(row, text) {
    const name = row.worker === null ? undefined : this.model.names.get(row.worker);
    return name !== undefined && name.toLowerCase().includes(text);
  }

  draw() {
    this.filter();
    for (const [column, isShown] of Object.entries(this.model.tally.has)) this.card.classList.toggle(`has-${column}`, isShown);
    const height = this.rows.length * ROW_PX;
    if (this.height !== height) this.spacer.style.height = `${(this.height = height)}px`;
    // As high as all tasks, filtered or not, so that it does not jump; the style sheet has the limit.
    const whole = Math.max(this.model.rows.length, 3) * ROW_PX + 2;
    if (this.whole !== whole) this.box.style.height = `${(this.whole = whole)}px`;
    const size = Math.ceil(this.box.clientHeight / ROW_PX) + 2 * BEYOND;
    while (this.pool.length < size) {
      const element = this.template.cloneNode(true);
      for (const cell of element.children) element[`${cell.className}Cell`] = cell;
      element.what = element.whatCell;
      element.took = element.tookCell;
      element.pill = element.statusCell.firstElementChild;
      element.hidden = true;
      this.pool.push(element);
      this.box.append(element);
    }
    const first = Math.max(Math.floor(this.box.scrollTop / ROW_PX) - BEYOND, 0);
    for (let offset = 0; offset < this.pool.length; offset += 1) {
      const place = first + offset;
      const element = this.pool[place % this.pool.length];
      const row = offset < size ? this.rows[place] : undefined;
      if (row) this.fill(element, row, place);
      else if (!element.hidden) {
        element.hidden = true;
        element.row = null;
      }
    }
    this.tell();
  }

  fill(element, row, place) {
    if (element.place !== place || element.hidden) {
      element.place = place;
      element.hidden = false;
      element.id = `task-${place % this.pool.length}`;
      element.style.transform = `translateY(${place * ROW_PX}px)`;
    }
    const isChosen = place === this.chosen;
    if (element.isChosen !== isChosen) {
      element.isChosen = isChosen;
      element.classList.toggle("chosen", isChosen);
      element.setAttribute("aria-selected", isChosen);
    }
    if (isChosen) this.box.setAttribute("aria-activedescendant", element.id);
    const status = STATUSES[row.status];
    if (row.status === 1) element.took.textContent = row.startedAt === null ? "" : seconds(this.model.now - row.startedAt);
    const wait = this.model.waitOf(row);
    const waits = wait ? wait.join() : "";
    if (element.row === row && element.version === row.version && element.waits === waits) return;
    if (element.row !== row) {
      element.idCell.textContent = row.shownId;
      element.title = row.description;
    }
    element.row = row;
    element.version = row.version;
    element.waits = waits;
    element.what.textContent = row.description;
    const reasons = [wait && wait[1], row.status !== 2 && row.reason].filter(Boolean).join("; ");
    if (reasons) {
      const told = document.createElement("em");
      told.textContent = reasons;
      told.dataset.status = status;
      element.what.append(told);
    }
    drawPill(element.pill, row, wait);
    element.typeCell.textContent = row.type;
    element.priorityCell.textContent = row.priority || "";
    element.attemptCell.textContent = row.attempts > 1 ? row.attempts : "";
    element.progressCell.textContent = row.percent ? `${row.percent} %` : "";
    element.costCell.textContent = row.cost ? amount(row.cost) : "";
    element.workerCell.textContent = row.worker === null ? "" : this.model.names.get(row.worker) || "";
    if (row.status !== 1) element.took.textContent = row.status > 1 && row.startedAt !== null ? seconds(row.endedAt - row.startedAt) : "";
  }

  tell() {
    const { model } = this;
    let told = model.isComplete ? "" : "still loading; ";
    if (this.status || this.text || this.kind) told += `${count(this.rows.length)} of ${count(model.rows.length)} tasks`;
    else told += model.rows.length ? `${count(model.rows.length)} tasks` : "no tasks yet";
    if (model.listedFrom) told += `; those added last, of ${count(model.total)} in all`;
    if (this.told !== told) this.shown.textContent = this.told = told;
  }

  open(place) {
    const row = this.rows[place];
    if (!row) return;
    this.chosen = place;
    this.drawSoon();
    this.onOpen(row);
  }

  key(event) {
    const page = Math.max(Math.floor(this.box.clientHeight / ROW_PX) - 1, 1);
    const last = this.rows.length - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    let place = this.chosen;
    if (event.key in moves) place = Math.min(Math.max(place + moves[event.key], 0), last);
    else if (event.key === "Home") place = 0;
    else if (event.key === "End") place = last;
    else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.open(this.chosen);
      return;
    } else return;
    event.preventDefault();
    this.chosen = place;
    const top = place * ROW_PX;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW_PX > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW_PX - this.box.clientHeight;
    this.drawSoon();
  }
}

// The status in words; what it waits for and how it failed told apart.
export function drawPill(pill, row, wait) {
  pill.textContent = wait ? wait[0] : row.status === 3 && row.kind === "timed out" ? "timed out" : LABELS[STATUSES[row.status]];
  pill.dataset.status = wait ? (wait[0] === NOBODY ? "failed" : "pending") : STATUSES[row.status];
}
