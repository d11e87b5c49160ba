// The timeline and the throughput, drawn on canvases in the page's own colours.

import { BUCKET_MS, LABELS, STATUSES } from "./model.js";
import { rate, seconds } from "./wording.js";

const LABEL_PX = 92;
const FOOT_PX = 18;
const MAX_LANES = 40;
const MAX_TRACKS = 6;
const NICE_STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600].map((s) => 1000 * s);

let colours = null;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (colours = null));

function palette() {
  if (!colours) {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    colours = Object.fromEntries([...STATUSES, "ink", "muted", "line", "card"].map((name) => [name, get(name)]));
  }
  return colours;
}

function begin(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  return { pen, width, height };
}

function axis(ms) {
  return ms < 60000 ? `${ms / 1000} s` : seconds(ms).replace(/ (min|h) 0 (s|min)$/, " $1");
}

function say(pen, text, width, height) {
  pen.fillStyle = palette().muted;
  pen.textAlign = "center";
  pen.fillText(text, width / 2, height / 2);
}

function drawTimes(pen, from, to, left, right, height, origin) {
  const { muted, line } = palette();
  const step = NICE_STEPS_MS.find((each) => ((right - left) * each) / (to - from) >= 64) || NICE_STEPS_MS.at(-1);
  pen.fillStyle = muted;
  pen.strokeStyle = line;
  pen.lineWidth = 1;
  pen.textAlign = "center";
  for (let at = Math.ceil((from - origin) / step) * step + origin; at <= to; at += step) {
    const x = left + ((at - from) / (to - from)) * (right - left);
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height - FOOT_PX);
    pen.stroke();
    if (x > left + 8 && x < right - 14 && at >= origin) pen.fillText(axis(at - origin), x, height - FOOT_PX / 2);
  }
}

function clip(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  while (text && pen.measureText(`${text}…`).width > width) text = text.slice(0, -1);
  return `${text}…`;
}

const MAX_HITS = 20000;

// Says what is under the pointer; find(x, y) gives the words, or "" where there is nothing.
function explain(canvas, find) {
  const tooltip = document.getElementById("tooltip");
  canvas.addEventListener("pointermove", (event) => {
    const words = find(event.offsetX, event.offsetY);
    tooltip.hidden = !words;
    if (!words) return;
    tooltip.textContent = words;
    tooltip.style.left = `${Math.min(event.clientX + 12, innerWidth - tooltip.offsetWidth - 8)}px`;
    tooltip.style.top = `${event.clientY + 14}px`;
  });
  canvas.addEventListener("pointerleave", () => (tooltip.hidden = true));
}

export class Timeline {
  constructor(model, onOpen) {
    this.model = model;
    this.canvas = document.getElementById("timeline");
    this.spanMs = 30000;
    this.hits = []; // of what was drawn last: its place and the span
    const find = (x, y) => this.hits.findLast((hit) => x >= hit.x - 1 && x <= hit.x + hit.width + 1 && y >= hit.y && y <= hit.y + hit.height);
    explain(this.canvas, (x, y) => {
      const hit = find(x, y);
      return hit ? describeSpan(hit.span, hit.worker, model) : "";
    });
    this.canvas.addEventListener("click", (event) => {
      const hit = find(event.offsetX, event.offsetY);
      if (hit && model.byNumber.has(hit.span.row.number)) onOpen(hit.span.row);
    });
  }

  draw() {
    const { model } = this;
    const orders = [...model.workers.keys()].sort((one, other) => one - other).slice(0, MAX_LANES);
    const wanted = Math.max(110, Math.min(orders.length * 26 + FOOT_PX + 4, 420));
    if (this.height !== wanted) this.canvas.style.height = `${(this.height = wanted)}px`;
    const { pen, width, height } = begin(this.canvas);
    this.hits = [];
    const { muted, ink, line } = palette();
    const origin = model.run.began_at ?? 0;
    const end = model.run.ended_at ?? model.now;
    const to = Math.max(end, origin + 10000);
    const from = this.spanMs ? Math.max(to - this.spanMs, origin) : origin;
    if (!orders.length) {
      say(pen, "no workers yet", width, height);
      return;
    }
    drawTimes(pen, from, to, LABEL_PX, width, height, origin);
    const lanePx = (height - FOOT_PX) / orders.length;
    const scale = (width - LABEL_PX) / (to - from);
    orders.forEach((order, place) => {
      const top = place * lanePx;
      const worker = model.workers.get(order);
      pen.fillStyle = worker.state === "lost" ? muted : ink;
      pen.textAlign = "left";
      if (lanePx >= 10) pen.fillText(clip(pen, worker.name, LABEL_PX - 12), 0, top + lanePx / 2);
      pen.strokeStyle = line;
      pen.beginPath();
      pen.moveTo(0, top + lanePx - 0.5);
      pen.lineTo(width, top + lanePx - 0.5);
      pen.stroke();
      const lane = model.lanes.get(order);
      if (lane) this.drawLane(pen, lane, worker, from, to, scale, top, lanePx, end);
    });
  }

  drawLane(pen, lane, worker, from, to, scale, top, lanePx, now) {
    const colour = palette();
    const inner = Math.max(lanePx - 4, 2);
    const spans = lane.inOrder;
    const oldest = spans.length ? spans[0].start : to;
    if (oldest > from) this.drawDensity(pen, lane, from, Math.min(oldest, to), scale, top + 2, inner);
    const tracks = new Array(Math.min(worker.slots, MAX_TRACKS)).fill(-Infinity);
    const trackPx = inner / tracks.length;
    let turn = 0;
    const lastX = new Array(tracks.length).fill(-1);
    for (const span of spans) {
      const end = span.end ?? now;
      let track = tracks.findIndex((free) => free <= span.start + 1);
      if (track < 0) track = turn++ % tracks.length;
      tracks[track] = end;
      if (end < from || span.start > to) continue;
      const x = LABEL_PX + Math.max(span.start - from, 0) * scale;
      const right = LABEL_PX + (Math.min(end, to) - from) * scale;
      // What is thinner than a pixel is drawn once a pixel, unless it failed.
      if (right <= lastX[track] && span.status !== 3) continue;
      lastX[track] = Math.max(right, x + 1);
      const spanPx = Math.max(right - x - 1, 1);
      pen.fillStyle = colour[STATUSES[span.status]];
      pen.globalAlpha = span.end === null ? 0.8 : 1;
      const y = top + 2 + track * trackPx;
      if (this.hits.length < MAX_HITS) this.hits.push({ x, y, width: spanPx, height: trackPx, span, worker: worker.name });
      pen.beginPath();
      if (spanPx > 5 && trackPx > 7) pen.roundRect(x, y, spanPx, trackPx - 1, 3);
      else pen.rect(x, y, spanPx, Math.max(trackPx - (trackPx > 3 ? 1 : 0), 1));
      pen.fill();
      pen.globalAlpha = 1;
      if (spanPx > 26 && trackPx > 11) {
        pen.fillStyle = colour.card;
        pen.textAlign = "left";
        const { shownId } = span.row;
        if (pen.measureText(shownId).width <= spanPx - 10) pen.fillText(shownId, x + 5, y + trackPx / 2);
      }
    }
  }

  drawDensity(pen, lane, from, to, scale, top, height) {
    const colour = palette();
    let most = 1;
    for (const bucket of lane.buckets.values()) most = Math.max(most, bucket.good + bucket.bad);
    for (const [key, { good, bad }] of lane.buckets) {
      const at = key * BUCKET_MS;
      if (at + BUCKET_MS < from || at > to) continue;
      const x = LABEL_PX + Math.max(at - from, 0) * scale;
      const width = Math.max(Math.min(BUCKET_MS * scale, LABEL_PX + (to - from) * scale - x), 1);
      pen.globalAlpha = 0.25 + 0.55 * ((good + bad) / most);
      const badPx = (height * bad) / (good + bad);
      pen.fillStyle = colour.completed;
      pen.fillRect(x, top, width, height - badPx);
      pen.fillStyle = colour.failed;
      pen.fillRect(x, top + height - badPx, width, badPx);
    }
    pen.globalAlpha = 1;
  }
}

function describeSpan(span, worker, model) {
  const took = seconds((span.end ?? model.now) - span.start);
  const ended = span.end === null ? `running for ${took}` : `${LABELS[STATUSES[span.status]]} after ${took}`;
  return `task ${span.row.shownId} at ${worker}: ${ended}`;
}

export class Throughput {
  constructor(model) {
    this.model = model;
    this.canvas = document.getElementById("throughput");
    this.points = [];
    this.timeAt = () => 0;
    explain(this.canvas, (x) => {
      const at = this.timeAt(x);
      const point = this.points.find(([from, to]) => at >= from && at <= to);
      if (!point) return "";
      const [from, , good, bad] = point;
      return `${axis(Math.max(Math.round((from - (model.run.began_at ?? 0)) / 1000) * 1000, 0))}: ${rate(good)} a second succeeded, ${rate(bad)} did not`;
    });
  }

  draw() {
    const { model } = this;
    const { pen, width, height } = begin(this.canvas);
    const colour = palette();
    const { samples, run } = model;
    const origin = run.began_at ?? 0;
    const to = Math.max(run.ended_at ?? model.now, origin + 5000);
    if (samples.length < 2) {
      say(pen, "nothing yet", width, height);
      return;
    }
    drawTimes(pen, origin, to, 44, width, height, origin);
    // Smoothed over a hundredth and more of what is shown, else single ticks stand out.
    const stepMs = Math.max((to - origin) / 120, 1000);
    const points = [];
    let [at, good, bad] = samples[0];
    for (const [sampleAt, sampleGood, sampleBad] of samples) {
      if (sampleAt - at < stepMs && sampleAt !== samples.at(-1)[0]) continue;
      const s = (sampleAt - at) / 1000;
      if (s <= 0) continue;
      // Fewer have failed than before where tasks were tried again.
      points.push([at, sampleAt, Math.max(sampleGood - good, 0) / s, Math.max(sampleBad - bad, 0) / s]);
      [at, good, bad] = [sampleAt, sampleGood, sampleBad];
    }
    const most = Math.max(...points.map(([, , one, other]) => one + other), 0.1) * 1.1;
    const floor = height - FOOT_PX;
    this.points = points;
    this.timeAt = (place) => origin + ((place - 44) / (width - 44)) * (to - origin);
    const x = (moment) => 44 + ((moment - origin) / (to - origin)) * (width - 44);
    const y = (value) => floor - (value / most) * (floor - 6);
    pen.fillStyle = colour.muted;
    pen.textAlign = "right";
    const peak = most / 1.1;
    pen.fillText(rate(peak), 38, Math.max(y(peak), 8));
    pen.fillText("0", 38, floor - 5);
    this.area(pen, points, x, () => floor, (point) => y(point[2]), colour.completed, true);
    if (points.some((point) => point[3])) this.area(pen, points, x, (point) => y(point[2]), (point) => y(point[2] + point[3]), colour.failed, false);
  }

  area(pen, points, x, low, high, colour, isLined) {
    pen.beginPath();
    points.forEach((point, place) => {
      const middle = x((point[0] + point[1]) / 2);
      if (place === 0) pen.moveTo(x(point[0]), high(point));
      pen.lineTo(middle, high(point));
      if (place === points.length - 1) pen.lineTo(x(point[1]), high(point));
    });
    for (const point of [...points].reverse()) {
      if (point === points.at(-1)) pen.lineTo(x(point[1]), low(point));
      pen.lineTo(x((point[0] + point[1]) / 2), low(point));
      if (point === points[0]) pen.lineTo(x(point[0]), low(point));
    }
    pen.closePath();
    pen.fillStyle = colour;
    pen.globalAlpha = isLined ? 0.35 : 0.75;
    pen.fill();
    pen.globalAlpha = 1;
    if (!isLined) return;
    pen.beginPath();
    points.forEach((point, place) => {
      if (place === 0) pen.moveTo(x(point[0]), high(point));
      pen.lineTo(x((point[0] + point[1]) / 2), high(point));
      if (place === points.length - 1) pen.lineTo(x(point[1]), high(point));
    });
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    pen.stroke();
  }
}
