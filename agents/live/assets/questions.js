// What tasks ask people: each question with its choices, or with a field for any text.

import { element, show } from "./elements.js";
import { complaint, plain, taskPath, tell } from "./stream.js";

const WHO = "somebody on the live page";

export class Questions {
  constructor(model) {
    this.model = model;
    this.place = document.getElementById("questions");
    this.list = this.place.querySelector("ul");
    this.more = document.getElementById("questions-more");
    this.error = document.getElementById("questions-error");
    this.items = new Map();
    this.canAnswer = false;
    this.made = 0;
  }

  draw() {
    const { shown, more } = this.model.questions;
    const keys = new Set();
    for (const [id, number, text, choices] of shown) {
      const key = `${id} ${number}`;
      keys.add(key);
      if (!this.items.has(key)) {
        const item = this.item(id, number, text, choices);
        this.items.set(key, item);
        this.list.append(item);
      }
    }
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      // Who has answered by the keyboard goes on from here.
      const hadFocus = item.contains(document.activeElement);
      item.remove();
      this.items.delete(key);
      if (hadFocus) (this.list.querySelector("button, input") || document.getElementById("tasks")).focus();
    }
    this.place.hidden = !shown.length;
    show(this.more, more ? `${more} more; muster questions lists all` : "");
    if (!shown.length) this.error.hidden = true;
    for (const control of this.list.querySelectorAll(".answer button, .answer input")) control.disabled = !this.canAnswer;
  }

  item(id, number, text, choices) {
    const item = document.createElement("li");
    const row = this.model.byId.get(id);
    const title = row ? row.shownId : plain(id);
    const name = document.createElement("p");
    this.made += 1;
    name.id = `question-${this.made}`;
    const link = element("a", `Task ${title}`);
    link.href = `#task=${encodeURIComponent(id)}`;
    name.append(link, ` asks: ${text}`);
    const answer = element(choices.length ? "div" : "form", "", "answer");
    answer.setAttribute("aria-labelledby", name.id);
    if (choices.length) {
      answer.setAttribute("role", "group");
      for (const choice of choices) {
        const exact = JSON.parse(choice);
        const button = element("button", plain(exact), "button");
        button.type = "button";
        button.addEventListener("click", () => this.send(id, number, exact));
        answer.append(button);
      }
    } else {
      const field = document.createElement("input");
      field.required = true;
      field.maxLength = 10000;
      field.autocomplete = "off";
      field.setAttribute("aria-labelledby", name.id);
      const button = element("button", "Answer", "button");
      answer.append(field, button);
      answer.addEventListener("submit", (event) => {
        event.preventDefault();
        this.send(id, number, field.value);
      });
    }
    item.append(name, answer);
    return item;
  }

  async send(id, number, answer) {
    this.error.hidden = true;
    try {
      await tell("POST", taskPath(id, "/answer"), { answer, question: number, by: WHO });
    } catch (fault) {
      show(this.error, complaint(fault));
    }
  }
}
