// Puts the page together: what comes over the stream goes into the model, and what is in sight is
// drawn from it, at most once a frame.

import { Adding } from "./adding.js";
import { Throughput, Timeline } from "./charts.js";
import { Controls } from "./controls.js";
import { Costs } from "./costs.js";
import { Details } from "./details.js";
import { show } from "./elements.js";
import { Kinds } from "./kinds.js";
import { Model, STATUSES } from "./model.js";
import { Questions } from "./questions.js";
import { follow, keepSecret } from "./stream.js";
import { Schedules } from "./schedules.js";
import { Skills } from "./skills.js";
import { Summary } from "./summary.js";
import { TaskList } from "./task_list.js";
import { count } from "./wording.js";
import { Workers } from "./workers.js";

const MOVES_EVERY_MS = 50;
const ADVANCES_EVERY_MS = 250;

const $ = (id) => document.getElementById(id);
const model = new Model();
const details = new Details(model);
const adding = new Adding(model);
const list = new TaskList(model, (row) => details.open(row));
const kinds = new Kinds(model, list);
const summary = new Summary(model);
const questions = new Questions(model);
const controls = new Controls(model, banner);
const workers = new Workers(model, (worker) => controls.open(worker));
const skills = new Skills(model);
const costs = new Costs(model);
const schedules = new Schedules(model);
const timeline = new Timeline(model, (row) => details.open(row));
const throughput = new Throughput(model);
let isLive = false;
let drawnAt = 0;
let advancedAt = 0;
let isChanged = false;

// ------------------------------------------------------------------ what is told of the run

function drawFilters() {
  const { counts, total } = model;
  for (const button of $("filters").children) {
    const { status } = button.dataset;
    const text = count(status ? counts[status] : total);
    const number = button.querySelector("b");
    if (number.textContent !== text) number.textContent = text;
  }
}

// What can be changed: nothing once the run has ended, or while nobody answers.
function drawAbilities() {
  const canChange = isLive && model.run !== null && model.run.ended_at === null;
  $("add").hidden = !canChange;
  details.canChange = kinds.canRetry = questions.canAnswer = controls.canChange = canChange;
  summary.isLive = workers.isLive = isLive;
  document.body.classList.toggle("offline", !isLive);
}

// ------------------------------------------------------------------ drawing

function frame(at) {
  requestAnimationFrame(frame);
  if (!model.run || document.hidden) return;
  if (isChanged) {
    isChanged = false;
    drawAbilities();
    summary.draw();
    controls.draw();
    questions.draw();
    drawFilters();
    list.draw();
    kinds.draw();
    if (model.isComplete) details.openLinked();
    details.look();
    skills.draw();
    costs.draw();
    schedules.draw();
  }
  const isMoving = isLive && model.run.ended_at === null;
  if (at - drawnAt >= MOVES_EVERY_MS && (isMoving || isResized)) {
    drawnAt = at;
    timeline.draw();
  }
  if (at - advancedAt >= ADVANCES_EVERY_MS) {
    advancedAt = at;
    if (isLive) {
      summary.tick();
      workers.draw();
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
  show($("banner"), text);
}

function begin() {
  follow({
    connected() {
      isLive = isChanged = true;
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
      isChanged = true;
      if (model.run) {
        drawAbilities();
        workers.draw();
      }
      if (!model.run) banner(why || "The manager does not answer; trying again …");
      else if (why) banner(why);
      else if (isEnding || model.run.ended_at !== null) banner("The manager is gone, and this is the last of its run. If another takes its place, it will be here.");
      else banner("The manager does not answer. This is how the run stood; trying again …");
    },
    secretNeeded(why) {
      show($("secret-error"), why);
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
  list.choose({ status: button.dataset.status, kind: "" });
  kinds.draw();
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

addEventListener("hashchange", () => model.isComplete && details.openLinked());
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "n" && !$("add").hidden) {
    event.preventDefault();
    adding.open();
  }
});

for (const button of $("filters").children) if (STATUSES.includes(button.dataset.status)) button.classList.add("tone");
begin();
requestAnimationFrame(frame);
