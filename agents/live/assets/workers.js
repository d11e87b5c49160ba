// The list of workers.

import { more, show } from "./elements.js";
import { amount, count, seconds, share } from "./wording.js";

const DENSE_FROM = 8;
const isGone = (worker) => worker.state === "lost" || worker.state === "gone home";

export class Workers {
  constructor(model, onOpen) {
    this.model = model;
    this.onOpen = onOpen;
    this.list = document.getElementById("workers");
    this.more = document.getElementById("workers-more");
    this.total = document.getElementById("worker-count");
    this.template = document.getElementById("worker-row").content.firstElementChild;
    this.items = new Map();
    this.empty = document.getElementById("workers-empty");
    this.wait = document.getElementById("workers-wait");
    this.isLive = false;
  }

  draw() {
    const { model } = this;
    for (const [order, item] of this.items) {
      if (!model.workers.has(order)) {
        item.remove();
        this.items.delete(order);
      }
    }
    const workers = [...model.workers.values()].sort((one, other) => isGone(one) - isGone(other) || one.order - other.order);
    workers.forEach((worker, place) => {
      let item = this.items.get(worker.order);
      if (!item) {
        item = this.template.cloneNode(true);
        item.querySelector(".name").addEventListener("click", () => this.onOpen(item.worker));
        this.items.set(worker.order, item);
      }
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] || null);
      this.fill(item, worker);
    });
    const isOver = model.run.ended_at !== null;
    this.empty.hidden = workers.length > 0 || isOver;
    this.list.hidden = !workers.length;
    this.list.classList.toggle("dense", workers.length > DENSE_FROM);
    const waits = model.run.waits_for || "No worker has joined yet.";
    if (this.wait.textContent !== waits) this.wait.textContent = waits;
    const there = workers.filter((worker) => !isGone(worker)).length;
    const home = workers.filter((worker) => worker.state === "gone home").length;
    const told = isOver ? `${count(home + model.hiddenWorkers)} gone home` : `${count(Math.max(model.run.workers, there))} connected`;
    this.total.textContent = this.isLive || isOver ? told : `${told} when last heard`;
    show(this.more, more([model.hiddenWorkers, ""]));
  }

  fill(item, worker) {
    const silentMs = Math.max(this.model.now - worker.heard_at - 1000, 0);
    // While the workers work the manager hears them all the time; only silence tells something.
    const age = isGone(worker) ? (worker.state === "lost" ? "lost" : "home") : !this.isLive ? "?" : `♥ ${seconds(Math.round(silentMs / 1000) * 1000).replace(".00", "").replace(".0", "")}`;
    set(item, ".age", age);
    if (worker.held.length) {
      const [task, since, reason] = worker.held[0];
      const more = worker.held.length > 1 ? ` (and ${worker.held.length - 1} more)` : "";
      set(item, ".held", `⚠ task ${task} still holds a slot, ${seconds(this.model.now - since)} after ${reason}${more}`);
    }
    if (item.worker === worker) return;
    item.worker = worker;
    item.dataset.state = worker.state;
    item.querySelector(".dot").title = worker.state;
    item.title = `${worker.name}, ${worker.state}: ${worker.taken} of ${worker.slots} slots taken, ${worker.succeeded} of ${worker.ended} attempts succeeded`;
    set(item, ".name", worker.name);
    item.querySelector(".name").title = worker.name;
    const states = { resting: "resting after failures; ", draining: "draining; ", leaving: "leaving; ", late: "late; ", "gone home": "gone home; " };
    set(item, ".skill", `${states[worker.state] || ""}skill ${worker.skill}${worker.specialties.length ? `, ${worker.specialties.join(", ")}` : ""}${worker.ahead ? `, ${count(worker.ahead)} ahead` : ""}`);
    item.querySelector(".held").hidden = !worker.held.length;
    item.querySelector(".meter i").style.width = `${Math.min((100 * worker.taken) / worker.slots, 100)}%`;
    set(item, ".load", `${worker.taken}/${worker.slots}`);
    set(item, ".score", worker.ended ? `${count(worker.succeeded)} · ${share(worker.succeeded, worker.ended)}` : "–");
    item.querySelector(".cost").hidden = !worker.cost;
    if (worker.cost) set(item, ".cost", `${amount(worker.cost)} ${this.model.run.unit}`);
  }
}

function set(item, where, text) {
  const element = item.querySelector(where);
  if (element.textContent !== text) element.textContent = text;
}
