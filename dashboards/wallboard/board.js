// What is true now, and how old is it? Frames in; tiles, ages and needs out. Knows no elements and no words.

const SEPARATOR = "\u001f";
const RECOVERY_SHOWN_MS = 60_000;
const CLOCK_STEP_MS = 1500; // a server clock that moved by more was set, not delayed on its way
const DRIFT_MS = 1; // what the estimate of the server's clock gives back per frame, so that it follows a slower one
const RANK = { act: 0, watch: 1, ok: 2 };

export const keyOf = (queue, channel) => queue + SEPARATOR + channel;

/** "act", "watch" or "ok": the worse of the queue's state and the thresholds it exceeds. */
export function toneOf(tile) {
  const levels = Object.values(tile.levels);
  if (tile.state === "breach" || levels.includes("critical")) return "act";
  return tile.state === "at_risk" || levels.includes("warning") ? "watch" : "ok";
}

/** The word for it; a threshold of the settings has another than the promise of the queue. */
export function stateWord(tile) {
  const tone = toneOf(tile);
  if (tone === "act") return tile.state === "breach" ? "breach" : "critical";
  return tone === "watch" ? (tile.state === "at_risk" ? "at_risk" : "warning") : "ok";
}

export class Board {
  /** `clock`: monotonic ms. */
  constructor(clock = () => performance.now()) {
    this._clock = clock;
    this._heardAt = clock(); // as if a frame had come: before the first one silence is judged alike
    this._offset = null; // the server's clock minus ours
    this._recovered = new Map(); // key -> when a breach was over, before our eyes
    this.boot = null;
    this.seq = -1;
    this.asOf = null;
    this._asOfAt = clock(); // when that changed last: a publisher whose clock is ahead must not look young for ever
    this.redisDownSince = null;
    this.refusal = null;
    this.hasSlept = false;
    this.config = {};
    this.tiles = new Map();
    this.site = null;
    this.acks = {};
    this.web = null; // the newest frame of the web site, and which process sent it
  }

  /** Take in a frame. Returns {breached, recovered: keys, reordered}, or null when frames are missing before it. */
  take(kind, frame) {
    if (kind === "snapshot") return this._snapshot(frame);
    if (kind === "beat") return this._beat(frame);
    if (kind === "web") return this._web(frame);
    if (frame.seq <= this.seq) return nothing();
    if (frame.seq !== this.seq + 1) return null;
    this._heard(frame);
    for (const part of ["site", "acks"]) if (part in frame) this[part] = frame[part];
    if ("board" in frame) this.config = frame.board;
    this.seq = frame.seq;
    return this._change(Object.entries(frame.queues));
  }

  _snapshot(frame) {
    const isFirst = this.boot === null;
    const gone = [...this.tiles.keys()].filter((key) => !Object.hasOwn(frame.queues, key)).map((key) => [key, null]);
    this._heard(frame);
    this.redisDownSince = frame.redis_down_since;
    Object.assign(this, { boot: frame.boot, seq: frame.seq, config: frame.board, site: frame.site, acks: frame.acks });
    const change = this._change([...gone, ...Object.entries(frame.queues)]);
    return isFirst ? { ...nothing(), reordered: true } : change;
  }

  _beat(frame) {
    if (frame.seq !== this.seq) return null;
    this._heard(frame);
    this.redisDownSince = frame.redis_down_since;
    return nothing();
  }

  /** It does not count and tells no ages of queues; one comes when the one before says something else. */
  _web(frame) {
    this._heardAt = this._clock();
    this.web = frame;
    return nothing();
  }

  _heard(frame) {
    this._heardAt = this._clock();
    this.hasSlept = false;
    this.refusal = null;
    if (frame.as_of !== this.asOf) Object.assign(this, { asOf: frame.as_of, _asOfAt: this._heardAt });
    // The frame that was shortest on its way knows the server's clock best.
    const offset = frame.now - this._heardAt;
    const isNear = this._offset !== null && Math.abs(offset - this._offset) < CLOCK_STEP_MS;
    this._offset = isNear ? Math.max(offset, this._offset - DRIFT_MS) : offset;
  }

  _change(entries) {
    const change = nothing();
    for (const [key, part] of entries) {
      const before = this.tiles.get(key);
      if (part === null) {
        this.tiles.delete(key);
        this._recovered.delete(key);
        change.reordered = true;
        continue;
      }
      const tile = { ...before, ...part }; // a delta tells only what changed
      this.tiles.set(key, tile);
      if (before === undefined) change.reordered = true;
      const [was, is] = [before && toneOf(before), toneOf(tile)];
      if (before === undefined || was === is) continue;
      change.reordered = true;
      if (is === "act") {
        change.breached.push(key);
        this._recovered.delete(key);
      } else if (was === "act") {
        change.recovered.push(key);
        this._recovered.set(key, this.now());
      }
    }
    return change;
  }

  // --- time ---------------------------------------------------------------------------------------------------

  /** The server's clock, Unix ms; null before the first frame. */
  now() {
    return this._offset === null ? null : this._clock() + this._offset;
  }

  /**
   * Seconds since the last frame, since anything was published (null: nothing was), since the pipeline heard of a source
   * through Kafka (null: not known), and how old the numbers are: the greater of those two.
   */
  ages() {
    const since = (at) => Math.max(0, this.now() - at) / 1000;
    const published = this.asOf === null ? null : Math.max(since(this.asOf), (this._clock() - this._asOfAt) / 1000);
    const heard = this.site?.heard_ms ? since(this.site.heard_ms) : null;
    const data = published === null ? null : Math.max(published, heard ?? 0);
    return { transport: (this._clock() - this._heardAt) / 1000, published, heard, data };
  }

  /** {state: connecting|live|late|stale, why, since: ms or null, age: s}. */
  health() {
    const ages = this.ages();
    const { transport, data } = ages;
    const limit = this._staleAfter;
    const age = Math.max(transport, data ?? 0);
    const why = this._why(ages, limit / 2);
    const told = { why, since: this._since(why), age };
    if (this.hasSlept || age > limit) return { state: "stale", ...told };
    if (age > limit / 2 || this.refusal) return { state: "late", ...told };
    if (this.boot === null) return { state: "connecting", ...told };
    return data === null ? { state: "late", ...told } : { state: "live", why: "", since: null, age };
  }

  _why({ transport, published, heard }, limit) {
    if (this.refusal) return this.refusal;
    if (transport > limit || this.boot === null || this.hasSlept) return "network";
    if (this.redisDownSince !== null) return "redis";
    if (published === null) return "nothing";
    return heard !== null && heard > limit && published <= limit ? "broker" : "worker";
  }

  _since(why) {
    if (this.boot === null) return null;
    if (why === "redis") return this.redisDownSince;
    if (why === "broker") return this.site.heard_ms;
    return why === "worker" || why === "nothing" ? this.asOf : this._heardAt + this._offset;
  }

  /** Seconds. */
  get _staleAfter() {
    return this.config.stale_after_s ?? 10;
  }

  /** True when nobody has published this tile for too long, or nothing reaches us. */
  isStale(tile) {
    return this.health().state === "stale" || this._isOld(tile);
  }

  _isOld(tile) {
    return this.now() - tile.published_ms > this._staleAfter * 1000;
  }

  /** {n, since}: how many tiles nobody has published for too long while others are live, and since when; null: none. */
  partlyStale() {
    const old = [...this.tiles.values()].filter((tile) => this._isOld(tile));
    return old.length ? { n: old.length, since: Math.min(...old.map((tile) => tile.published_ms)) } : null;
  }

  /** How old the report on the web site is, in seconds; null: there is none. */
  webAge() {
    const report = this.web?.report;
    return report && this.now() !== null ? Math.max(0, this.now() - report.as_of_ms) / 1000 : null;
  }

  /** True when the report is out of date, or nothing reaches us. */
  isWebStale() {
    const age = this.webAge();
    return age !== null && (age > this.web.stale_after_s || this.ages().transport > this._staleAfter);
  }

  /** Seconds the first in line has waited; of a stale tile, until it was published: nobody knows whether they still do. */
  longestWait(tile, isStale = this.isStale(tile)) {
    if (tile.oldest_ms === null) return null;
    return Math.max(0, (isStale ? tile.published_ms : this.now()) - tile.oldest_ms) / 1000;
  }

  // --- needs --------------------------------------------------------------------------------------------------

  /** Keys, the neediest first: tone, people past the target, longest wait in units of X, waiting, service level. */
  byNeed() {
    const need = ([, tile]) => [
      RANK[toneOf(tile)], -tile.at_risk, -(this.longestWait(tile) ?? 0) / Math.max(tile.x_s, 0.001), -tile.waiting,
      tile.sl.value === null ? 0 : tile.sl.value - tile.target,
    ];
    return [...this.tiles]
      .map((entry) => [entry[0], need(entry)])
      .sort(([a, x], [b, y]) => x.map((each, at) => each - y[at]).find((d) => d !== 0) ?? (a < b ? -1 : 1))
      .map(([key]) => key);
  }

  /** Seconds since a tile recovered, while that is worth showing; else null. */
  recoveredFor(key) {
    const at = this._recovered.get(key);
    return at !== undefined && this.now() - at < RECOVERY_SHOWN_MS ? (this.now() - at) / 1000 : null;
  }

  /** Who has acknowledged the breach that a tile is in; null: nobody. The server forgets those of earlier ones. */
  ackOf(key) {
    const [tile, ack] = [this.tiles.get(key), this.acks[key]];
    return tile && ack && toneOf(tile) === "act" ? ack : null;
  }
}

const nothing = () => ({ breached: [], recovered: [], reordered: false });
