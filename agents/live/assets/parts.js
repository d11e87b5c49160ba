// The parts of one task's output, as they come.

import { followParts } from "./stream.js";

const MAX_SHOWN_CHARACTERS = 20000;

export class Parts {
  constructor() {
    this.section = document.getElementById("parts");
    this.shown = this.section.querySelector("pre");
    this.note = this.section.querySelector("p");
    this.stop = null;
  }

  open(id) {
    this.close();
    this.text = "";
    this.missed = 0;
    this.attempt = 0;
    this.stop = new AbortController();
    const { signal } = this.stop;
    followParts(id, signal, (name, told) => !signal.aborted && this.take(name, told));
  }

  close() {
    if (this.stop) this.stop.abort();
    this.stop = null;
    this.section.hidden = true;
    this.shown.textContent = this.note.textContent = "";
  }

  take(name, told) {
    if (name !== "part") return;
    if (told.begins_anew) {
      this.text = "";
      this.missed = 0;
    }
    this.attempt = told.attempt;
    this.missed += told.missed || 0;
    this.text += typeof told.data === "string" ? told.data : `${JSON.stringify(told.data)}\n`;
    if (this.text.length > MAX_SHOWN_CHARACTERS) this.text = `…${this.text.slice(-MAX_SHOWN_CHARACTERS)}`;
    this.section.hidden = false;
    if (!this.isDue) {
      this.isDue = true;
      requestAnimationFrame(() => this.draw());
    }
  }

  draw() {
    this.isDue = false;
    const isAtEnd = this.shown.scrollTop + this.shown.clientHeight >= this.shown.scrollHeight - 4;
    this.shown.textContent = this.text;
    if (isAtEnd) this.shown.scrollTop = this.shown.scrollHeight;
    const notes = [this.attempt > 1 && `attempt ${this.attempt}`, this.missed && `${this.missed} parts before are not kept`];
    this.note.textContent = notes.filter(Boolean).join("; ");
  }
}
