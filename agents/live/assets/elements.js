// Elements whose content is text, never markup, and tables made of them.

import { count } from "./wording.js";

export function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

export function header(scope, text, className = "") {
  const made = element("th", text, className);
  made.scope = scope;
  made.title = text;
  return made;
}

// The first column names the row, the others are numbers.
export function table(headings, rows) {
  const made = document.createElement("table");
  made.append(document.createElement("thead"), document.createElement("tbody"));
  made.tHead.append(document.createElement("tr"));
  made.tHead.rows[0].append(...headings.map((text, place) => header("col", text, place ? "number" : "")));
  for (const [name, ...numbers] of rows) made.tBodies[0].insertRow().append(header("row", name), ...numbers.map((text) => element("td", text, "number")));
  return made;
}

// Such as "and 3 more workers and 1 more types"; "" if nothing is hidden.
export function more(...hidden) {
  const told = hidden.filter(([number]) => number).map(([number, what]) => `${count(number)} more${what ? ` ${what}` : ""}`);
  return told.length ? `and ${told.join(" and ")}` : "";
}

export function show(shown, text) {
  shown.hidden = !text;
  shown.textContent = text;
}
