"use strict";
(() => {
  // Every text is set as text, never as markup.
  const ROWS_A_PAGE = 50;
  const [ID, WHAT, TYPE, DIFFICULTY, PRIORITY, STATUS, WORKER, ATTEMPTS, TOOK, WAITED, ERROR, WHY, OUTPUT, NEEDS, PARENT, HISTORY, COST, QUALITY, TERMS, KIND, LATE, TRACEBACK] =
    Array(22).keys();
  const table = document.getElementById("task-table");
  if (!table) return;
  const data = JSON.parse(document.getElementById("data").textContent);
  const tasks = data.tasks;
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const number = new Intl.NumberFormat("en");
  const workerOf = (task) => (task[WORKER] === null ? "" : data.workers[task[WORKER]]);

  function duration(ms) {
    if (ms === null) return "-";
    if (ms === 0) return "0 s";
    const [value, unit] =
      ms < 1e3 ? [ms, "ms"] : ms < 12e4 ? [ms / 1e3, "s"] : ms < 72e5 ? [ms / 6e4, "min"] : [ms / 36e5, "h"];
    return `${number.format(value >= 100 ? Math.round(value) : Math.round(value * 10) / 10)} ${unit}`;
  }

  const cost = (amount) => amount.toLocaleString("en", { maximumSignificantDigits: amount < 1e4 ? 4 : 9 });
  const grade = (quality) => (quality === null ? "-" : quality.toFixed(2));

  function make(tag, content, className) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (content instanceof Node) made.append(content);
    else if (content !== undefined) made.textContent = content;
    return made;
  }

  // As in `name_class`, which wrote the rows that this script replaces.
  const nameClass = (name) => ["name", "name longer", "long"][(String(name).length > 14) + (String(name).length > 40)];
  const columns = [
    ["Task", (task) => task[ID]],
    ["Description", (task) => task[WHAT]],
    ["Type", (task) => task[TYPE]],
    ["Status", (task) => task[STATUS]],
    ["Worker", workerOf],
    ["Difficulty", (task) => task[DIFFICULTY], "n"],
    ["Attempts", (task) => task[ATTEMPTS], "n"],
    ["Waited", (task) => task[WAITED], "n"],
    ["Time", (task) => task[TOOK], "n"],
    ["Late", (task) => task[LATE], "n"],
    ["Cost", (task) => task[COST], "n"],
    ["Quality", (task) => task[QUALITY], "n"],
  ].filter(([heading]) => data.columns.includes(heading));

  let sortedBy = null;
  let isDescending = false;
  let page = 0;
  let shown = tasks;
  let searched = null;
  const body = table.tBodies[0];
  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  const kind = document.getElementById("kind");
  const [before, after, pageNumber, found] = ["before", "after", "page", "found"].map((id) => document.getElementById(id));

  function textOf(place) {
    searched ??= tasks.map((task) =>
      [task[ID], task[WHAT], task[TYPE], workerOf(task), task[ERROR]].join("\n").toLowerCase());
    return searched[place];
  }

  function choose() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = status.value === "" ? null : Number(status.value);
    const error = kind.value === "" ? null : Number(kind.value);
    shown = tasks.filter((task, place) =>
      (wanted === null || task[STATUS] === wanted) && (error === null || task[KIND] === error) && words.every((word) => textOf(place).includes(word)));
    if (sortedBy !== null) {
      const key = columns[sortedBy][1];
      const sign = isDescending ? -1 : 1;
      shown.sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (typeof a === "number" && typeof b === "number" ? a - b : compare(a, b));
      });
    }
    page = 0;
    draw();
  }

  function drawTask(task) {
    const row = make("tr", undefined, "task");
    for (const [heading, key, className] of columns) {
      const cell = make("td", undefined, className);
      if (heading === "Task") {
        const opener = make("button", task[ID]);
        opener.type = "button";
        opener.setAttribute("aria-expanded", "false");
        cell.className = `id ${nameClass(task[ID])}`;
        cell.append(opener);
      } else if (heading === "Description") {
        cell.className = "what";
        cell.textContent = task[WHAT];
        if (task[ERROR]) cell.append(make("span", task[ERROR], "error"));
      } else if (heading === "Status") {
        const [value, label] = data.statuses[task[STATUS]];
        cell.className = "status";
        cell.append(make("i", undefined, `s-${value}`), label);
      } else if (heading === "Type" || heading === "Worker") {
        cell.className = nameClass(key(task));
        cell.textContent = key(task) || "-";
      } else if (heading === "Waited" || heading === "Time" || heading === "Late") {
        cell.textContent = duration(key(task));
      } else if (heading === "Cost") {
        cell.textContent = cost(task[COST]);
      } else if (heading === "Quality") {
        cell.textContent = grade(task[QUALITY]);
      } else {
        cell.textContent = key(task) === "" ? "-" : key(task);
      }
      row.append(cell);
    }
    row.addEventListener("click", () => {
      if (String(getSelection())) return;
      const opener = row.querySelector("button");
      const isOpen = opener.getAttribute("aria-expanded") === "true";
      opener.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) row.nextElementSibling.remove();
      else row.after(drawStory(task));
    });
    return row;
  }

  function drawStory(task) {
    const list = make("dl");
    const tell = (term, text) => text && list.append(make("dt", term), make("dd", text));
    tell("Why", task[WHY]);
    tell("Attempts", task[HISTORY].map(([which, worker, began, ended, outcome, paid, quality, isReview]) => {
      const took = ended === null ? "" : `, ${duration(ended - began)}`;
      const spent = paid ? `, ${cost(paid)} ${data.unit}` : "";
      const graded = quality === null ? "" : `, quality ${grade(quality)}`;
      return `${which} at ${data.workers[worker]}${isReview ? ", a review" : ""}: ${data.outcomes[outcome]}, from ${duration(began)} on${took}${spent}${graded}`;
    }).join("\n"));
    tell("Error", task[ERROR]);
    if (task[TRACEBACK]) {
      const folded = make("details");
      const lines = make("pre", task[TRACEBACK]);
      lines.tabIndex = 0;
      folded.append(make("summary", "Show where it was raised"), lines);
      list.append(make("dt", "Traceback"), make("dd", folded));
    }
    tell("Output", task[OUTPUT]);
    tell("Depends on", task[NEEDS]);
    tell("Belongs to", task[PARENT]);
    tell("Asks for", task[TERMS]);
    tell("Priority", task[PRIORITY] ? String(task[PRIORITY]) : "");
    const cell = make("td", list);
    cell.colSpan = columns.length;
    return make("tr", cell, "story");
  }

  function draw() {
    const pages = Math.max(Math.ceil(shown.length / ROWS_A_PAGE), 1);
    body.replaceChildren(...shown.slice(page * ROWS_A_PAGE, (page + 1) * ROWS_A_PAGE).map(drawTask));
    found.textContent = shown.length === tasks.length
      ? `${number.format(tasks.length)} tasks` : `${number.format(shown.length)} of ${number.format(tasks.length)} tasks`;
    pageNumber.textContent = `Page ${number.format(page + 1)} of ${number.format(pages)}`;
    before.disabled = page === 0;
    after.disabled = page >= pages - 1;
    document.getElementById("pages").hidden = pages === 1;
  }

  table.tHead.rows[0].replaceChildren();
  columns.forEach(([heading, , className], place) => {
    const sorter = make("button", heading);
    sorter.type = "button";
    const cell = make("th", sorter, className);
    cell.scope = "col";
    sorter.addEventListener("click", () => {
      isDescending = sortedBy === place && !isDescending;
      sortedBy = place;
      for (const other of cell.parentNode.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      choose();
    });
    table.tHead.rows[0].append(cell);
  });
  filter.addEventListener("input", choose);
  status.addEventListener("change", choose);
  kind.addEventListener("change", choose);
  [...(document.getElementById("kinds")?.tBodies[0].rows ?? [])].slice(0, data.kinds.length).forEach((row, place) => {
    const chooser = make("button", row.cells[0].textContent, "link");
    chooser.type = "button";
    chooser.title = "Show these tasks";
    chooser.addEventListener("click", () => {
      filter.value = status.value = "";
      kind.value = String(place);
      choose();
      document.getElementById("tasks").scrollIntoView();
    });
    row.cells[0].replaceChildren(chooser);
  });
  before.addEventListener("click", () => { page -= 1; draw(); });
  after.addEventListener("click", () => { page += 1; draw(); });
  document.getElementById("controls").hidden = false;
  draw();
})();
