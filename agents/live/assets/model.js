// What this page knows of the run. It draws nothing: whoever draws looks at it.

import { plain } from "./stream.js";

export const STATUSES = ["pending", "in_progress", "completed", "failed", "cancelled"];
const NOTHING_ASKED = { shown: [], more: 0 };
const NOTHING_WAITS = { kinds: {}, others: "waiting", texts: [], stuck: "", limits: "" };
// The manager tells what tasks wait for in the words of `muster why`; these kinds are told apart here.
const [BLOCKED, DELAYED, PAUSED, SUSPENDED] = ["blocked", "delayed", "paused", "suspended"];
export const NOBODY = "nobody can";
export const LABELS = { pending: "waiting", in_progress: "running", completed: "done", failed: "failed", cancelled: "cancelled" };
const [PENDING, RUNNING, COMPLETED, FAILED] = [0, 1, 2, 3];
const MAX_SPANS = 1500;
const MAX_BUCKETS = 2400;
export const BUCKET_MS = 250;

// What one worker did over time: each attempt as a span, and where there were more than can be
// kept, how many ended in each quarter of a second.
class Lane {
  constructor() {
    this.spans = [];
    this.isSorted = true;
    this.buckets = new Map();
  }

  // By their beginning; those of before this page was opened come in the order of the tasks.
  get inOrder() {
    if (!this.isSorted) {
      this.spans.sort((one, other) => one.start - other.start);
      this.isSorted = true;
    }
    return this.spans;
  }

  open(start, row) {
    const span = { start, end: null, status: RUNNING, row };
    if (this.spans.length && start < this.spans[this.spans.length - 1].start) this.isSorted = false;
    this.spans.push(span);
    if (this.spans.length > MAX_SPANS) this.inOrder.splice(0, MAX_SPANS / 3);
    return span;
  }

  close(span, end, status) {
    span.end = Math.max(end, span.start);
    span.status = status;
    const key = Math.floor(span.end / BUCKET_MS);
    let bucket = this.buckets.get(key);
    if (!bucket) {
      bucket = { good: 0, bad: 0 };
      this.buckets.set(key, bucket);
      if (this.buckets.size > MAX_BUCKETS) this.buckets.delete(this.buckets.keys().next().value);
    }
    if (status >= FAILED) bucket.bad += 1;
    else bucket.good += 1;
  }
}

export class Model {
  constructor() {
    this.clear();
    this.run = null;
  }

  clear() {
    this.rows = [];
    this.byNumber = new Map();
    this.byId = new Map();
    this.isSorted = true;
    this.version = 0; // moves whenever a filter may choose other rows
    this.lanes = new Map();
    this.names = new Map();
    this.workers = new Map();
    this.hiddenWorkers = 0;
    this.samples = [];
    this.news = [];
    this.counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
    this.listedFrom = 0;
    this.isComplete = false;
    this.skills = null;
    this.costs = null;
    this.schedules = null;
    this.waiting = NOTHING_WAITS;
    this.questions = NOTHING_ASKED;
    this.waitOfNumber = new Map();
    this.tallied = null;
  }

  // The manager's time, in its milliseconds.
  get now() {
    return this.at + (performance.now() - this.heardAt);
  }

  take(name, data) {
    if (name === "head") this.clear();
    if (data.at !== undefined) {
      this.at = data.at;
      this.heardAt = performance.now();
    }
    if (name === "head") {
      Object.assign(this, { title: data.title, base: data.base, run: data.run, counts: data.counts });
      this.news = data.news;
    } else {
      if (data.run) this.run = data.run;
      if (data.counts) this.counts = data.counts;
      if (data.news) this.news = [...this.news, ...data.news].slice(-50);
    }
    for (const [order, worker] of Object.entries(data.names || {})) this.names.set(Number(order), worker);
    this.takeWorkers(data);
    if (data.waiting) this.waiting = data.waiting;
    if (data.wait_numbers) {
      this.waitOfNumber = new Map(data.wait_numbers.flatMap((numbers, place) => numbers.map((number) => [number, place])));
    }
    if (data.waiting || data.wait_numbers) this.version += 1;
    for (const part of ["questions", "skills", "costs", "schedules"]) if (part in data) this[part] = data[part];
    if (data.history) this.takeHistory(data.history);
    if (data.hidden_workers !== undefined) this.hiddenWorkers = data.hidden_workers;
    for (const whole of data.added || []) this.add(whole);
    for (const row of data.rows || []) this.change(row);
    if (data.forgotten) this.forget(new Set(data.forgotten));
    if (data.listed_from) this.dropBelow(data.listed_from);
    if (name === "listed") this.isComplete = true;
    if (!this.isSorted) {
      this.rows.sort((one, other) => one.number - other.number);
      this.isSorted = true;
    }
  }

  takeWorkers(data) {
    for (const worker of data.workers || []) {
      this.workers.set(worker.order, worker);
      this.names.set(worker.order, worker.name);
    }
    if (data.shown_workers) {
      const shown = new Set(data.shown_workers);
      for (const order of this.workers.keys()) if (!shown.has(order)) this.workers.delete(order);
    }
  }

  takeHistory(history) {
    if (history.is_whole) this.samples = history.samples;
    else {
      const last = this.samples.length ? this.samples[this.samples.length - 1][0] : -Infinity;
      this.samples.push(...history.samples.filter((sample) => sample[0] > last));
    }
  }

  add([id, description, difficulty, type, dynamic, needs = []]) {
    const number = dynamic[0];
    const known = this.byNumber.get(number);
    if (known) {
      this.change(dynamic);
      return;
    }
    const former = this.byId.get(id);
    if (former) this.forget([id]);
    const text = JSON.parse(id);
    // As JSON, unless it can only be a text; and integers may be longer than JavaScript's.
    const shownId = plain(typeof text === "string" && !/^\d+$/.test(text) ? text : id);
    const row = { number, id, shownId, description, difficulty, type, needs, search: `${shownId} ${description} ${type}`.toLowerCase(), status: -1, attempts: 0, span: null, version: 0 };
    if (this.rows.length && number < this.rows[this.rows.length - 1].number) this.isSorted = false;
    this.rows.push(row);
    this.byNumber.set(number, row);
    this.byId.set(id, row);
    this.change(dynamic);
  }

  change([number, status, attempts, worker = null, startedAt = null, endedAt = null, priority, percent, reason, kind, cost, wait, waitUntil]) {
    const row = this.byNumber.get(number);
    if (!row) return;
    this.trace(row, status, attempts, worker, startedAt, endedAt);
    Object.assign(row, { status, attempts, worker, startedAt, endedAt, priority: priority || 0, percent: percent || 0, reason: reason || "", kind: kind || "", cost: cost || 0, wait: wait || "", waitUntil: waitUntil ?? null });
    row.version += 1;
    this.version += 1;
  }

  trace(row, status, attempts, worker, startedAt, endedAt) {
    const isSame = row.attempts === attempts;
    if (row.span && (!isSame || status !== RUNNING)) {
      if (isSame && startedAt !== null) row.span.start = startedAt;
      const ended = isSame && status !== PENDING ? status : FAILED;
      row.span.lane.close(row.span, (isSame ? endedAt : startedAt) ?? this.at, ended);
      row.span = null;
      if (isSame) return;
    }
    if (startedAt === null || (isSame && row.status !== -1 && row.span === null && row.startedAt === startedAt)) return;
    if (row.span) return;
    let lane = this.lanes.get(worker);
    if (!lane) this.lanes.set(worker, (lane = new Lane()));
    const span = lane.open(startedAt, row);
    span.lane = lane;
    if (status === RUNNING) row.span = span;
    else lane.close(span, endedAt === null ? startedAt : endedAt, status === PENDING ? FAILED : status);
  }

  // What a task waits for: the kind of reason, and the reason; null if it does not wait.
  waitOf(row) {
    if (row.status === RUNNING) return row.wait ? [SUSPENDED, row.wait] : null;
    if (row.status !== PENDING) return null;
    if (row.needs.some((number) => (this.byNumber.get(number)?.status ?? COMPLETED) !== COMPLETED)) return [BLOCKED, ""];
    if (row.wait && this.waiting.others !== PAUSED && (row.waitUntil === null || row.waitUntil > this.now)) return [DELAYED, row.wait];
    return this.waiting.texts[this.waitOfNumber.get(row.number)] || [this.waiting.others, ""];
  }

  // How many tasks failed for what, and which columns have something to show.
  get tally() {
    if (this.tallied?.version === this.version) return this.tallied;
    const kinds = new Map();
    const has = { type: false, priority: false, attempt: false, progress: false, cost: false };
    for (const row of this.rows) {
      if (row.status === FAILED) kinds.set(row.kind, (kinds.get(row.kind) || 0) + 1);
      has.type ||= row.type !== "";
      has.priority ||= row.priority !== 0;
      has.attempt ||= row.attempts > 1;
      has.progress ||= row.percent > 0;
      has.cost ||= row.cost > 0;
    }
    this.tallied = { version: this.version, kinds, has };
    return this.tallied;
  }

  forget(ids) {
    for (const id of ids) {
      const row = this.byId.get(id);
      if (row) this.byNumber.delete(row.number);
      this.byId.delete(id);
    }
    this.rows = this.rows.filter((row) => this.byNumber.has(row.number));
    this.version += 1;
  }

  dropBelow(number) {
    this.listedFrom = number;
    let count = 0;
    while (count < this.rows.length && this.rows[count].number < number) {
      this.byNumber.delete(this.rows[count].number);
      if (this.byId.get(this.rows[count].id) === this.rows[count]) this.byId.delete(this.rows[count].id);
      count += 1;
    }
    if (count) {
      this.rows.splice(0, count);
      this.version += 1;
    }
  }

  get total() {
    return STATUSES.reduce((sum, status) => sum + this.counts[status], 0);
  }

  get settled() {
    return this.counts.completed + this.counts.failed + this.counts.cancelled;
  }

  // Tasks settled a second, over the last five seconds, or over all of a run that has ended.
  get rate() {
    const { samples, run } = this;
    if (!run || run.began_at === null || samples.length < 2) return null;
    const last = samples[samples.length - 1];
    let first = samples[0];
    if (run.ended_at === null) {
      for (let place = samples.length - 2; place >= 0; place -= 1) {
        first = samples[place];
        if (last[0] - first[0] >= 5000) break;
      }
    }
    const end = run.ended_at === null ? last[0] : Math.max(run.ended_at, first[0] + 1);
    const settled = run.ended_at === null ? last[1] + last[2] - first[1] - first[2] : this.settled - first[1] - first[2];
    // Fewer are settled than before where tasks were tried again.
    return end > first[0] ? Math.max((1000 * settled) / (end - first[0]), 0) : null;
  }
}
