// How do frames reach the page, whatever happens between? One event stream that is opened again until it lives.
// Knows nothing of what frames say.

const SILENCE_MS = 6000; // three beats of the server missed: the line is dead, even if nobody said so
const PAUSES_MS = [250, 500, 1000, 2000];
const MOST_PAUSE_S = 60; // whatever a server or proxy asks for, a screen looks again
const GLANCE_MS = 1000;
const SLEEP_MS = 3000;

export class Connection {
  /** `stream()`: the address of now; `take(kind, frame)` returns false when frames are missing; `refused(status)`, 0: not, or nobody answers; `slept()`: the machine was suspended. */
  constructor(stream, { take, refused, slept }) {
    this._stream = stream;
    this._address = ""; // of the stream that was opened last
    this._tell = { take, refused, slept };
    this._source = null;
    this._failures = 0;
    this._retry = 0;
    this._heardAt = 0;
    this._clocks = [performance.now(), Date.now()];
  }

  start() {
    this._open();
    setInterval(() => this._watch(), GLANCE_MS);
    addEventListener("online", () => this._reopen());
    addEventListener("pageshow", (event) => event.persisted && this._reopen());
    document.addEventListener("visibilitychange", () => document.hidden || this._watch());
  }

  _open() {
    clearTimeout(this._retry);
    this._retry = 0;
    this._heardAt = performance.now();
    this._address = this._stream();
    const source = (this._source = new EventSource(this._address));
    for (const kind of ["snapshot", "delta", "beat", "web"]) {
      source.addEventListener(kind, (event) => source === this._source && this._take(kind, event.data));
    }
    source.addEventListener("error", () => source === this._source && this._lost(source));
  }

  /** Another address is wanted from now on. */
  reopen() {
    this._reopen();
  }

  _reopen() {
    this._source?.close();
    this._open();
  }

  _take(kind, data) {
    this._heardAt = performance.now();
    this._failures = 0;
    // A gap is answered by a new stream, which begins with everything; a stream that only ever shows gaps is not hurried.
    if (!this._tell.take(kind, JSON.parse(data))) this._lost(this._source);
  }

  _lost(source) {
    const pause = PAUSES_MS[Math.min(this._failures++, PAUSES_MS.length - 1)];
    this._openAfter(pause * 0.75, pause / 2);
    if (this._failures > 1) this._ask();
  }

  /** A thousand screens do not come back in the same instant. */
  _openAfter(pause, spread) {
    clearTimeout(this._retry);
    this._source?.close();
    this._source = null;
    this._retry = setTimeout(() => this._open(), pause + Math.random() * spread);
  }

  /** An event stream does not say why it was refused; a request for its head does, and when to come back. */
  async _ask() {
    let [status, after] = [0, 0];
    try {
      const answer = await fetch(this._address, { method: "HEAD", redirect: "manual", cache: "no-store" });
      // A proxy that sends the page elsewhere wants a sign-in.
      if (!answer.ok) status = answer.type === "opaqueredirect" ? 401 : answer.status;
      after = Number(answer.headers.get("Retry-After")) || 0; // a date is none of our server's
    } catch {
      // Nobody answers: silence says it all.
    }
    if (!this._failures) return; // meanwhile frames come
    this._tell.refused(status);
    const pause = Math.min(after, MOST_PAUSE_S) * 1000;
    if (status && pause > 0) this._openAfter(pause, pause / 2);
  }

  _watch() {
    const before = this._clocks;
    this._clocks = [performance.now(), Date.now()];
    // Where the monotonic clock stands still in sleep, the wall clock tells that there was one; it tells no ages.
    if (this._clocks[1] - before[1] - (this._clocks[0] - before[0]) > SLEEP_MS) {
      this._tell.slept();
      this._reopen();
    } else if (this._source && performance.now() - this._heardAt > SILENCE_MS) this._lost(this._source);
    else if (!this._source && performance.now() - this._heardAt > SILENCE_MS && !this._retry) this._open();
  }
}
