// The way to the manager: calls of its API, and the stream of what changes, with the secret if one
// is asked for. The secret is kept in this tab, and goes nowhere but into a header.

const KEPT_AS = "muster-secret";
const SILENT_FOR_MS = 6000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;

export class Refused extends Error {
  constructor(status, told) {
    super(told.error || `the manager answered with ${status}`);
    this.status = status;
    this.faults = told.faults || [];
  }
}

export function keepSecret(secret) {
  if (secret) sessionStorage.setItem(KEPT_AS, secret);
  else sessionStorage.removeItem(KEPT_AS);
}

function headers(more) {
  const secret = sessionStorage.getItem(KEPT_AS);
  return secret ? { ...more, Authorization: `Bearer ${secret}` } : more;
}

async function check(answer) {
  if (answer.ok) return answer;
  let told = {};
  try { told = await answer.json(); } catch { /* not ours; the status says enough */ }
  throw new Refused(answer.status, told);
}

// An id is kept as the JSON that stands for it in a URL.
export function taskPath(id, what = "") {
  return `api/tasks/${encodeURIComponent(id)}${what}`;
}

export async function ask(path) {
  return parse(await (await check(await fetch(path, { headers: headers({}) }))).text());
}

export async function tell(method, path, body) {
  const sent = { method, headers: headers({ "Content-Type": "application/json" }), body: typeof body === "string" ? body : JSON.stringify(body) };
  const answer = await check(await fetch(path, sent));
  return answer.status === 204 ? null : answer.json();
}

// Characters that turn the direction of the text around them, as such and as escapes of JSON. Texts
// from outside must not turn ours; an id, which is JSON within JSON, stays as it is.
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;
const ESCAPED_TURNS = /(?<!\\)((?:\\\\)*)\\u(?:202[a-e]|206[6-9])/g;
export const plain = (text) => text.replace(TURNS, "\ufffd");
const parse = (text) => JSON.parse(plain(text.replace(ESCAPED_TURNS, "$1\\ufffd")));

// What is told of a call that failed.
export const complaint = (fault) => (fault.status ? fault.message : "The manager does not answer");

// Calls `heard()` whenever something comes, and `on(name, data)` with each event, until they end.
async function readEvents(answer, heard, on) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    unread += value;
    for (let end; (end = unread.indexOf("\n\n")) >= 0; unread = unread.slice(end + 2)) {
      const found = /^event: (\w+)\ndata: ([^]*)$/.exec(unread.slice(0, end));
      // Others are comments.
      if (found) on(found[1], parse(found[2]));
    }
  }
}

// The parts of a task's output, until they end or `signal` is aborted.
export async function followParts(id, signal, on) {
  try {
    const answer = await check(await fetch(taskPath(id, "/parts"), { headers: headers({}), signal, cache: "no-store" }));
    await readEvents(answer, () => {}, on);
  } catch { /* the page is closed, or the run has ended; the details tell what there is */ }
}

// Follows the run for ever: `on.event(name, data)`, `on.connected()`, `on.lost(why, pauseMs)`,
// and `on.secretNeeded(why)`, which is to be answered with `follow` once more.
export async function follow(on) {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const stop = new AbortController();
    let watchdog = 0;
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => stop.abort(), SILENT_FOR_MS);
    };
    let why = "";
    try {
      heard();
      const answer = await check(await fetch("api/events", { headers: headers({}), signal: stop.signal, cache: "no-store" }));
      on.connected();
      await readEvents(answer, heard, (name, data) => {
        pauseMs = FIRST_PAUSE_MS;
        on.event(name, data);
      });
    } catch (fault) {
      if (fault instanceof Refused && fault.status === 401) {
        on.secretNeeded(sessionStorage.getItem(KEPT_AS) ? fault.message : "");
        return;
      }
      if (fault instanceof Refused) why = fault.message;
    } finally {
      clearTimeout(watchdog);
      stop.abort();
    }
    on.lost(why, pauseMs);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
