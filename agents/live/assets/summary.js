// What is told of the run as a whole: its state, its figures, and what happened last.

import { NOBODY } from "./model.js";
import { amount, count, rate, seconds, share } from "./wording.js";

const STATES = { waiting: "waiting for workers", running: "running", paused: "Paused", idle: "idle", finished: "finished", stopped: "stopped", failed: "could not go on" };
const NEWS = {
  assigning_begun: "the work began", run_resumed: "the run went on", run_ended: "the run ended", worker_joined: "WORKER came",
  worker_returned: "WORKER came back", worker_lost: "WORKER was lost", worker_refused: "WORKER was not let in",
  worker_quarantined: "WORKER was sent to rest", worker_released: "WORKER is back from its rest", worker_retired: "WORKER was sent home",
  worker_drained: "WORKER gets no more tasks", worker_resumed: "WORKER gets tasks again",
  run_paused: "the run was paused", run_unpaused: "the run was resumed",
  budget_changed: "the budget changed", task_failed: "TASK failed", attempt_failed: "an attempt at TASK failed on WORKER",
  attempt_rejected: "a result of TASK by WORKER was rejected",
};
const STATUS_WORDS = { completed: "done", failed: "failed", cancelled: "cancelled", in_progress: "running" };
const TIMED_OUT = "timed out";

const $ = (id) => document.getElementById(id);

function set(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

export class Summary {
  constructor(model) {
    this.model = model;
    this.isLive = false;
  }

  draw() {
    const { run, counts, total, settled, waiting } = this.model;
    set("title", this.model.title);
    set("done", count(counts.completed));
    set("done-of", `of ${count(total)} ${total === 1 ? "task" : "tasks"} done`);
    this.drawFailures();
    const perSecond = this.model.rate;
    set("rate", rate(perSecond));
    set("success", share(counts.completed, settled));
    const isOver = run.ended_at !== null;
    set("left", count(total - settled));
    set("left-label", isOver ? "never settled" : this.toGo(perSecond));
    $("left").parentElement.hidden = isOver && total === settled;
    $("spent").hidden = !(run.cost > 0) && run.budget === null;
    set("cost", amount(run.cost));
    set("cost-label", run.budget === null ? `${run.unit} spent` : `of ${amount(run.budget)} ${run.unit} spent, ${amount(Math.max(run.budget - run.cost, 0))} left`);
    const parts = [];
    for (const piece of $("bar").children) {
      const { status } = piece.dataset;
      piece.style.width = total ? `${(100 * counts[status]) / total}%` : "0";
      piece.title = `${count(counts[status])} ${STATUS_WORDS[status]}`;
      if (counts[status]) parts.push(piece.title);
    }
    $("bar").setAttribute("aria-label", parts.length ? `Of ${count(total)} tasks: ${parts.join(", ")}` : "No task has begun");
    set("stuck", waiting.stuck ? `Nothing goes on: ${waiting.stuck}.` : "");
    $("stuck").hidden = !waiting.stuck;
    set("limits", waiting.limits);
    $("limits").hidden = !waiting.limits;
    this.drawState();
    set("says", this.says());
  }

  drawFailures() {
    const { counts, tally } = this.model;
    const timedOut = tally.kinds.get(TIMED_OUT) || 0;
    $("failures").hidden = !(counts.failed || counts.cancelled);
    set("failed", count(counts.failed));
    const also = [timedOut && `${count(timedOut)} of them timed out`, counts.cancelled && `${count(counts.cancelled)} cancelled besides`].filter(Boolean);
    set("failed-label", also.length ? `failed, ${also.join(", ")}` : "failed");
  }

  // Only where all that is left can be done, an end is foreseen.
  toGo(perSecond) {
    const { total, settled, waiting } = this.model;
    const left = total - settled;
    if (waiting.stuck) return "to go, stuck";
    if (waiting.kinds[NOBODY]) return `to go; nobody can do ${count(waiting.kinds[NOBODY])} of them`;
    if (!left || !perSecond || this.model.run.state !== "running") return "to go";
    return `to go, about ${seconds(Math.max((1000 * left) / perSecond, 1000))}`;
  }

  // The state is told by the pill, the title and the icon alike.
  drawState() {
    const { run, counts, total, settled, waiting, title } = this.model;
    const bad = counts.failed + counts.cancelled;
    const failed = [counts.failed && `${count(counts.failed)} failed`, counts.cancelled && `${count(counts.cancelled)} cancelled`].filter(Boolean).join(", ");
    const isOver = run.ended_at !== null;
    let tone = run.state;
    let words = STATES[run.state];
    if (waiting.stuck && !isOver) [tone, words] = ["stuck", "stuck"];
    if (bad && run.state === "finished") {
      tone = "failed";
      words = `finished, ${failed}`;
    }
    if (!this.isLive) {
      words = isOver ? `${words}, offline` : "offline";
      if (!isOver) tone = "offline";
    }
    set("state", words);
    $("state").dataset.run = tone;
    let told = "";
    if (isOver && total) told = bad || settled < total ? `✗ ${count(counts.completed)} of ${count(total)} done` : "✓ all done";
    else if (total) told = [`${Math.floor((100 * counts.completed) / total)} % done`, run.state === "paused" && "paused", failed, waiting.stuck && "stuck"].filter(Boolean).join(", ");
    if (!this.isLive) told = ["offline", told].filter(Boolean).join(" · ");
    document.title = told ? `${told} · ${title}` : title;
    const isBad = bad > 0 || run.state === "failed" || Boolean(waiting.stuck);
    const icon = isBad ? "assets/icon-failed.svg" : "assets/icon.svg";
    if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
  }

  says() {
    const { run, news } = this.model;
    if (run.failure) return run.failure;
    if (run.waits_for) return run.waits_for;
    if (run.state === "paused") return "Paused: the manager assigns no tasks until it is resumed. What runs goes on.";
    if (!this.model.total) return run.ended_at === null ? "No tasks yet; add one here, by the API, or with muster manager --tasks FILE." : "The run had no tasks.";
    const last = news.at(-1);
    if (!last) return "";
    const ago = seconds(Math.max(this.model.now - last.at, 0)).replace(/\.\d+ s/, " s");
    const words = NEWS[last.what] || last.what.replaceAll("_", " ");
    const told = words.replace("TASK", `task ${last.task}`).replace("WORKER", last.worker || "nobody");
    return `${ago} ago ${told}${last.detail ? `: ${last.detail}` : ""}`;
  }

  // Called all the time, since time passes.
  tick() {
    const { run } = this.model;
    const end = run.ended_at ?? this.model.now;
    const told = run.began_at === null ? "" : seconds(end - run.began_at);
    set("clock", told && (run.ended_at === null ? `began ${told} ago` : `took ${told}`));
    set("says", this.says());
  }
}
