// One task: where it stands, why, its story, and what can be done with it.

import { element, show } from "./elements.js";
import { Parts } from "./parts.js";
import { ask, complaint, taskPath, tell } from "./stream.js";
import { drawPill } from "./task_list.js";
import { amount, seconds } from "./wording.js";

const AGAIN_AFTER_MS = 700;
const MAX_SHOWN_CHARACTERS = 20000;
const LINK = "#task=";
const WORDS = {
  task_added: "added", task_assigned: "given to", task_progressed: "progress at", task_completed: "done by", task_failed: "failed",
  task_cancelled: "cancelled", task_requeued: "waits again", task_delayed: "waits", task_reprioritized: "new priority", task_retried: "begins anew", attempt_failed: "attempt failed on",
  attempt_suspended: "waits at", attempt_resumed: "goes on at",
  question_asked: "asked a person, at", question_answered: "answered", question_expired: "question expired",
  attempt_declined: "declined by", attempt_charged: "cost told by",
  attempt_succeeded: "attempt succeeded on", attempt_reviewed: "reviewed by", attempt_rejected: "result rejected of",
  attempt_timed_out: "timed out on", slot_held: "slot still held at", result_ignored: "result ignored, from",
};

export class Details {
  constructor(model) {
    this.model = model;
    this.unit = () => model.run.unit;
    this.canChange = false;
    this.dialog = document.getElementById("details");
    this.error = document.getElementById("details-error");
    this.row = null;
    this.parts = new Parts();
    this.cancel = document.getElementById("cancel");
    this.retry = document.getElementById("retry");
    this.fault = document.getElementById("details-fault");
    this.traceback = document.getElementById("traceback");
    this.priority = document.getElementById("priority");
    this.priorityForm = document.getElementById("priority-form");
    this.dialog.querySelector(".close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.row = null;
      this.parts.close();
      if (location.hash.startsWith(LINK)) history.replaceState(null, "", location.pathname + location.search);
    });
    this.retry.addEventListener("click", () => this.order("POST", "/retry", { reason: "on the live page" }));
    this.cancel.addEventListener("click", () => this.order("POST", "/cancel", { reason: "on the live page" }));
    this.priorityForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.order("PUT", "/priority", { priority: Number(this.priority.value) });
    });
  }

  // The task of the URL, once it is known.
  openLinked() {
    if (!location.hash.startsWith(LINK)) return;
    let id = location.hash.slice(LINK.length);
    try { id = decodeURIComponent(id); } catch { /* as it is */ }
    const row = this.model.byId.get(id) || this.model.byId.get(JSON.stringify(id));
    if (row && row !== this.row) this.open(row);
  }

  async open(row) {
    this.row = row;
    this.version = -1;
    this.error.hidden = true;
    const link = document.getElementById("details-link");
    link.textContent = `Task ${row.shownId}`;
    link.href = LINK + encodeURIComponent(row.id);
    if (location.hash !== link.hash) history.replaceState(null, "", link.hash);
    this.fault.hidden = this.traceback.hidden = true;
    this.traceback.open = false;
    document.getElementById("details-what").textContent = row.description;
    for (const id of ["facts", "why", "story", "payloads"]) document.getElementById(id).replaceChildren();
    this.priority.value = row.priority;
    this.parts.open(row.id);
    this.showStatus();
    if (!this.dialog.open) this.dialog.showModal();
    await this.refresh();
  }

  // Called again and again; reads the story anew if the task has changed.
  look() {
    if (!this.row || this.version === this.row.version || performance.now() < this.againAt) return;
    this.refresh();
  }

  showStatus() {
    drawPill(document.getElementById("details-status"), this.row, this.model.waitOf(this.row));
    this.cancel.hidden = !this.canChange || this.row.status > 1;
    this.retry.hidden = !this.canChange || this.row.status < 3;
    this.priorityForm.hidden = !this.canChange || this.row.status !== 0;
  }

  async refresh() {
    const { row } = this;
    this.version = row.version;
    this.againAt = performance.now() + AGAIN_AFTER_MS;
    try {
      const told = await ask(taskPath(row.id, "/story"));
      if (this.row === row) this.show(told);
    } catch (fault) {
      if (this.row === row) this.complain(fault);
    }
  }

  async order(method, what, body) {
    this.error.hidden = true;
    try {
      await tell(method, taskPath(this.row.id, what), body);
    } catch (fault) {
      this.complain(fault);
    }
    if (this.row) await this.refresh();
  }

  complain(fault) {
    show(this.error, complaint(fault));
  }

  show({ task, story, forgotten, why }) {
    this.showStatus();
    document.getElementById("details-what").textContent = task.description;
    const facts = [
      ["Difficulty", task.difficulty], ["Type", task.type || "none: simulated"], ["Priority", task.priority],
      ["Worker", task.worker || "none yet"], ["Attempts", task.attempts],
      ["Took", task.execution_time === null ? "" : seconds(1000 * task.execution_time)],
      ["Expires after", task.expires_s === null ? "" : seconds(1000 * task.expires_s)], ["Depends on", task.depends_on.join(", ")], ["Child of", task.parent_id ?? ""], ["Skills", Object.entries(task.required_skills).map(([name, level]) => `${name} ${level}`).join(", ") + (task.strict ? ", strictly" : "")],
      ["Deadline", task.deadline === null ? "" : `${seconds(1000 * task.deadline)} after it was added`], ["Key", task.limit_key ?? ""], ["Ladder", task.escalate.join(", then ")],
      ["Review", task.review ? "by a second worker" : ""], ["Votes", task.votes > 1 ? task.votes : ""],
      ["Cost", task.cost ? `${amount(task.cost)} ${this.unit()}` : ""], ["Quality", task.quality === null ? "" : task.quality.toFixed(2)],
      ["Note", task.note],
    ];
    const list = document.getElementById("facts");
    list.replaceChildren();
    for (const [name, value] of facts) {
      if (value === "") continue;
      list.append(element("dt", name), element("dd", String(value)));
    }
    show(this.fault, task.error ?? "");
    this.traceback.hidden = !task.error_traceback;
    this.traceback.lastElementChild.textContent = task.error_traceback ?? "";
    document.getElementById("why").textContent = why.join("\n");
    const began = task.added_at;
    const lines = story.map((each) => {
      const item = document.createElement("li");
      const text = [WORDS[each.what] || each.what.replaceAll("_", " "), each.worker].filter(Boolean).join(" ");
      const detail = each.detail.startsWith(`${text}: `) ? each.detail.slice(text.length + 2) : each.detail;
      item.append(element("time", `+${seconds(1000 * (each.at - began))}`), element("span", detail ? `${text}: ${detail}` : text));
      return item;
    });
    if (forgotten) lines.unshift(element("li", `${forgotten} earlier ones are not kept`));
    document.getElementById("story").replaceChildren(...lines);
    const payloads = document.getElementById("payloads");
    payloads.replaceChildren();
    for (const [name, value] of [["Traceback", task.error_traceback], ["Data", task.data], ["Output", task.output]]) {
      if (value === null) continue;
      const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
      const cut = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}\n… (the API has all of it)` : text;
      const shown = element("pre", cut);
      shown.tabIndex = 0;
      shown.setAttribute("aria-label", name);
      payloads.append(element("h3", name), shown);
    }
  }
}
