// Puts the page together: what comes over the stream goes into the model, and what is in sight is
// drawn from it, at most once a frame.

import { Adding } from "./adding.js";
import { Throughput, Timeline } from "./charts.js";
import { Details } from "./details.js";
import { Model, STATUSES } from "./model.js";
import { follow, keepSecret } from "./stream.js";
import { Skills } from "./skills.js";
import { TaskList } from "./task_list.js";
import { amount, count, rate, seconds, share } from "./wording.js";
import { Workers } from "./workers.js";

const STATES = { waiting: "waiting for workers", running: "running", idle: "idle", finished: "finished", stopped: "stopped", failed: "could not go on" };
const NEWS = {
  assigning_begun: "the work began", run_resumed: "the run went on", run_ended: "the run ended", worker_joined: "WORKER came",
  worker_returned: "WORKER came back", worker_lost: "WORKER was lost", worker_refused: "WORKER was not let in",
  worker_quarantined: "WORKER was sent to rest", worker_released: "WORKER is back from its rest", worker_retired: "WORKER was sent home",
  budget_changed: "the budget changed", task_failed: "TASK failed", attempt_failed: "an attempt at TASK failed on WORKER",
  attempt_rejected: "a result of TASK by WORKER was rejected",
};
const MOVES_EVERY_MS = 50;
const ADVANCES_EVERY_MS = 250;

const $ = (id) => document.getElementById(id);
const model = new Model();
const details = new Details(() => model.run.unit);
const adding = new Adding(model);
const list = new TaskList(model, (row) => details.open(row));
const workers = new Workers(model);
const skills = new Skills(model);
const timeline = new Timeline(model);
const throughput = new Throughput(model);
let isLive = false;
let drawnAt = 0;
let advancedAt = 0;
let isChanged = false;

// ------------------------------------------------------------------ what is told of the run

function set(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function drawSummary() {
  const { run, counts, total, settled } = model;
  set("title", model.title);
  const state = $("state");
  set("state", STATES[run.state]);
  state.dataset.run = run.state;
  set("done", count(counts.completed));
  set("done-of", `of ${count(total)} ${total === 1 ? "task" : "tasks"} done`);
  const perSecond = model.rate;
  set("rate", rate(perSecond));
  set("success", share(counts.completed, settled));
  set("left", count(total - settled));
  $("costs").hidden = !(run.cost > 0) && run.budget === null;
  set("cost", amount(run.cost));
  set("cost-label", run.budget === null ? `${run.unit} spent` : `of ${amount(run.budget)} ${run.unit} spent, ${amount(Math.max(run.budget - run.cost, 0))} left`);
  const isOver = run.ended_at !== null;
  const leftMs = perSecond && !isOver ? (1000 * (total - settled)) / perSecond : null;
  set("left-label", leftMs ? `to go, about ${seconds(Math.max(leftMs, 1000))}` : "to go");
  for (const piece of $("bar").children) {
    piece.style.width = total ? `${(100 * counts[piece.dataset.status]) / total}%` : "0";
  }
  const percent = total ? Math.floor((100 * settled) / total) : 0;
  $("bar").setAttribute("aria-valuenow", percent);
  document.title = total ? `${percent} % · ${model.title}` : model.title;
  set("says", says());
  for (const button of $("filters").children) {
    const { status } = button.dataset;
    const text = count(status ? counts[status] : total);
    const number = button.querySelector("b");
    if (number.textContent !== text) number.textContent = text;
  }
}

function says() {
  const { run, news } = model;
  if (run.failure) return run.failure;
  if (run.waits_for) return run.waits_for;
  if (run.stuck.length) return run.stuck.map(([, , text]) => text).join("; ");
  if (!model.total) return "No tasks yet; add one here, or by the API.";
  const last = news.at(-1);
  if (!last) return "";
  const ago = seconds(Math.max(model.now - last.at, 0)).replace(/\.\d+ s/, " s");
  const words = NEWS[last.what] || last.what.replaceAll("_", " ");
  const told = words.replace("TASK", `task ${last.task}`).replace("WORKER", last.worker || "nobody");
  return `${ago} ago ${told}${last.detail ? `: ${last.detail}` : ""}`;
}

function drawClock() {
  const { run } = model;
  const end = run.ended_at ?? model.now;
  const told = run.began_at === null ? "" : seconds(end - run.began_at);
  set("clock", told && (run.ended_at === null ? `began ${told} ago` : `took ${told}`));
}

// ------------------------------------------------------------------ drawing

function frame(at) {
  requestAnimationFrame(frame);
  if (!model.run || document.hidden) return;
  if (isChanged) {
    isChanged = false;
    drawSummary();
    list.draw();
    details.look();
    skills.draw();
  }
  const isMoving = isLive && model.run.ended_at === null;
  if (at - drawnAt >= MOVES_EVERY_MS && (isMoving || isResized)) {
    drawnAt = at;
    timeline.draw();
  }
  if (at - advancedAt >= ADVANCES_EVERY_MS) {
    advancedAt = at;
    if (isLive) {
      drawClock();
      workers.draw();
      set("says", says());
    }
    if (isMoving) list.draw();
    if (isMoving || isResized) {
      throughput.draw();
      isResized = false;
    }
  }
}

let isResized = true;
const redraw = () => (isResized = true);
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// ------------------------------------------------------------------ the stream

function showConnection(state, text) {
  $("connection").className = `connection ${state}`;
  $("connection").lastElementChild.textContent = text;
}

function banner(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

function begin() {
  follow({
    connected() {
      isLive = true;
      banner("");
      showConnection("live", "live");
    },
    event(name, data) {
      if (name === "end" || name === "full") {
        isEnding = name === "end";
        if (name === "full") banner(`${data.pages} pages are open, and there can't be more; close some.`);
        return;
      }
      isEnding = false;
      model.take(name, data);
      isChanged = true;
      if (model.run.ended_at !== null) redraw();
    },
    lost(why) {
      isLive = false;
      showConnection("lost", "not connected");
      redraw();
      if (!model.run) banner(why || "The manager does not answer; trying again …");
      else if (why) banner(why);
      else if (isEnding || model.run.ended_at !== null) banner("The manager is gone, and this is the last of its run. If another takes its place, it will be here.");
      else banner("The manager does not answer. This is how the run stood; trying again …");
    },
    secretNeeded(why) {
      $("secret-error").textContent = why;
      $("secret-error").hidden = !why;
      if (!$("asking").open) $("asking").showModal();
    },
  });
}

let isEnding = false;

$("secret-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepSecret($("secret").value.trim());
  $("secret").value = "";
  $("asking").close();
  begin();
});
$("asking").addEventListener("cancel", (event) => event.preventDefault());

// ------------------------------------------------------------------ what the user does

$("add").addEventListener("click", () => adding.open());

function press(group, pressed) {
  for (const button of group.querySelectorAll("button")) button.setAttribute("aria-pressed", button === pressed);
}

$("filters").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  press($("filters"), button);
  list.choose({ status: button.dataset.status });
});
document.querySelector(".timeline .choice").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  press(button.parentElement, button);
  timeline.spanMs = Number(button.dataset.span);
  redraw();
});
$("search").addEventListener("input", (event) => list.choose({ text: event.target.value }));
$("order").addEventListener("change", (event) => list.choose({ isReversed: event.target.value === "last" }));

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "n") {
    event.preventDefault();
    adding.open();
  }
});

for (const button of $("filters").children) if (STATUSES.includes(button.dataset.status)) button.classList.add("tone");
begin();
requestAnimationFrame(frame);
