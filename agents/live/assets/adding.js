// The form by which a task is added.

import { complaint, tell } from "./stream.js";

const INTEGER = /^[1-9]\d{0,18}$/;

export class Adding {
  constructor(model) {
    this.model = model;
    this.dialog = document.getElementById("adding");
    this.form = document.getElementById("add-form");
    this.error = document.getElementById("add-error");
    for (const button of this.dialog.querySelectorAll(".close")) button.addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
  }

  open() {
    this.complain([], "");
    const { elements } = this.form;
    let highest = 0;
    for (const row of this.model.rows) if (INTEGER.test(row.id)) highest = Math.max(highest, Number(row.id));
    elements.namedItem("id").value = highest < Number.MAX_SAFE_INTEGER ? highest + 1 : "";
    this.dialog.showModal();
  }

  async send() {
    const value = (name) => this.form.elements.namedItem(name).value.trim();
    let data = null;
    try {
      if (value("data")) data = JSON.parse(value("data"));
    } catch {
      this.complain([{ field: "data", rule: "is not JSON; a text needs its quotes" }], "");
      return;
    }
    const task = { description: value("description"), difficulty: Number(value("difficulty")), type: value("type"), priority: Number(value("priority")), data };
    // As it was typed, for an integer may be longer than JavaScript's.
    const id = INTEGER.test(value("id")) ? value("id") : JSON.stringify(value("id"));
    try {
      await tell("POST", "api/tasks", `{"id":${id},${JSON.stringify(task).slice(1)}`);
      this.form.reset();
      this.dialog.close();
    } catch (fault) {
      this.complain(fault.faults || [], complaint(fault));
    }
  }

  complain(faults, message) {
    for (const field of this.form.querySelectorAll("[name]")) {
      const fault = faults.find((each) => each.field === field.name);
      field.setAttribute("aria-invalid", Boolean(fault));
      field.parentElement.querySelector("small").textContent = fault ? fault.rule : "";
    }
    const isPlaced = faults.length && faults.every((fault) => this.form.elements.namedItem(fault.field));
    this.error.textContent = message;
    this.error.hidden = !message || Boolean(isPlaced);
  }
}
