// The errors of the run by kind and what its tasks wait for, each a filter of the list; and the
// button that tries what failed again.

import { NOBODY } from "./model.js";
import { complaint, tell } from "./stream.js";
import { count } from "./wording.js";

const MAX_KINDS = 12;
const MAX_TASKS_PER_CALL = 1000;

export class Kinds {
  constructor(model, list) {
    this.model = model;
    this.list = list;
    this.box = document.getElementById("kinds");
    this.canRetry = false;
    this.drawn = "";
    this.box.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.filter) this.choose(button.dataset.filter);
      else if (button) this.retry(button);
    });
  }

  choose(filter) {
    this.list.choose({ kind: this.list.kind === filter ? "" : filter });
    this.draw();
  }

  // Either "error ValueError" or "wait nobody can", with how many there are.
  filters() {
    const { model } = this;
    const found = [];
    if (this.list.status === "" || this.list.status === "failed") {
      const kinds = [...model.tally.kinds].sort((one, other) => other[1] - one[1]);
      for (const [kind, number] of kinds.slice(0, MAX_KINDS)) found.push([`error ${kind}`, kind || "failed", number, "failed"]);
    }
    if (this.list.status === "" || this.list.status === "pending") {
      const { kinds, others } = model.waiting;
      if (Object.keys(kinds).some((kind) => kind !== others)) {
        for (const [kind, number] of Object.entries(kinds)) found.push([`wait ${kind}`, kind, number, kind === NOBODY ? "failed" : "pending"]);
      }
    }
    return found;
  }

  draw() {
    const filters = this.filters();
    const failed = this.model.counts.failed;
    const canRetry = this.canRetry && failed > 0;
    const state = JSON.stringify([filters, this.list.kind, canRetry, failed]);
    if (this.drawn === state) return;
    this.drawn = state;
    const focused = this.box.contains(document.activeElement) ? document.activeElement.dataset.filter : null;
    const buttons = filters.map(([filter, words, number, status]) => {
      const button = document.createElement("button");
      const amount = document.createElement("b");
      amount.textContent = count(number);
      Object.assign(button, { type: "button", className: "chip" });
      Object.assign(button.dataset, { filter, status });
      button.setAttribute("aria-pressed", this.list.kind === filter);
      button.append(`${words} `, amount);
      return button;
    });
    if (canRetry) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "button", textContent: this.retryWords(failed) });
      buttons.push(button);
    }
    this.box.replaceChildren(...buttons);
    this.box.hidden = !buttons.length;
    if (focused) buttons.find((each) => each.dataset.filter === focused)?.focus();
  }

  get chosenErrors() {
    return this.list.kind.startsWith("error ") ? this.list.kind.slice("error ".length) : null;
  }

  retryWords(failed) {
    const number = this.chosenErrors === null ? failed : this.model.tally.kinds.get(this.chosenErrors) || 0;
    return `Try ${count(number)} failed again`;
  }

  async retry(button) {
    const kind = this.chosenErrors;
    button.disabled = true;
    try {
      const reason = JSON.stringify("on the live page");
      if (kind === null) await tell("POST", "api/retry", `{"reason":${reason}}`);
      else {
        // As JSON, for an integer may be longer than JavaScript's.
        const ids = this.model.rows.filter((row) => row.status === 3 && row.kind === kind).map((row) => row.id);
        for (let first = 0; first < ids.length; first += MAX_TASKS_PER_CALL) {
          await tell("POST", "api/retry", `{"tasks":[${ids.slice(first, first + MAX_TASKS_PER_CALL).join(",")}],"reason":${reason}}`);
        }
      }
    } catch (fault) {
      button.textContent = complaint(fault);
      return;
    }
    button.disabled = false;
  }
}
