// The buttons that pause the run, and the dialog in which a worker is drained.

import { show } from "./elements.js";
import { complaint, tell } from "./stream.js";
import { count } from "./wording.js";

const $ = (id) => document.getElementById(id);

export class Controls {
  constructor(model, complain) {
    this.model = model;
    this.complain = complain;
    this.canChange = false;
    this.worker = null;
    $("pause").addEventListener("click", () => this.pause());
    for (const [id, path, more] of [["drain-stays", "api/drain", { leaves: false }], ["drain-leaves", "api/drain", { leaves: true }], ["drain-ends", "api/resume", {}]]) {
      $(id).addEventListener("click", () => this.order(path, { worker: this.worker.name, ...more }));
    }
  }

  draw() {
    $("pause").hidden = !this.canChange;
    const words = this.model.run.state === "paused" ? "Resume" : "Pause";
    if ($("pause").textContent !== words) $("pause").textContent = words;
    if (this.worker) this.drawWorker();
  }

  async pause() {
    $("pause").disabled = true;
    try {
      await tell("POST", this.model.run.state === "paused" ? "api/resume" : "api/pause", {});
      this.complain("");
    } catch (fault) {
      this.complain(complaint(fault));
    }
    $("pause").disabled = false;
  }

  open(worker) {
    this.worker = worker;
    $("draining-error").hidden = true;
    this.drawWorker();
    if (!$("draining").open) $("draining").showModal();
  }

  drawWorker() {
    const worker = this.model.workers.get(this.worker.order) || this.worker;
    $("draining-title").textContent = `Worker ${worker.name}`;
    const has = worker.taken ? `It has begun ${count(worker.taken)} ${worker.taken === 1 ? "task" : "tasks"}.` : "It has no task.";
    const [isHere, isDrained] = [!["lost", "gone home"].includes(worker.state), worker.state === "draining"];
    const next = isDrained ? "It gets no more tasks." : "A drained worker gets no more tasks and finishes those that it has begun; those that it has not begun go to others.";
    $("draining-what").textContent = isHere ? `${has} ${next}` : `It is ${worker.state}.`;
    const canDrain = this.canChange && isHere;
    $("drain-stays").hidden = $("drain-leaves").hidden = !canDrain || isDrained;
    $("drain-ends").hidden = !canDrain || !isDrained;
  }

  async order(path, body) {
    try {
      await tell("POST", path, body);
      $("draining").close();
    } catch (fault) {
      show($("draining-error"), complaint(fault));
    }
  }
}
