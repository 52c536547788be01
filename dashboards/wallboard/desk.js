// How does somebody at a desk find the queue they look for? One dense table: sorted, filtered. Knows no ages.

import { stateWord, toneOf } from "./board.js";
import { Trend } from "./charts.js";
import { el, setAttribute, setChildren, setText, term } from "./dom.js";
import { STILL } from "./kiosk.js";
import { Badge, LEVEL_TONES, slTone } from "./tile.js";

const RESORT_MS = 5000; // rows that jump with every frame cannot be read
const RESORT_SOON_MS = 1000; // after a change of tone
const REFIT_MS = 30_000;
const FLASH_MS = 1200;
const SHARE = 8; // of the rows out of sight one in so many is written per frame: find in page and screen readers see them, too
const tone = (tile, measure) => LEVEL_TONES[tile.levels[measure]] ?? "";
const ratio = (name) => ({ value: (tile) => tile[name].value, text: (tile, { format }) => format.percent(tile[name].value), tone: (tile) => tone(tile, name) });
const count = (name) => ({ value: (tile) => tile[name], text: (tile, { format }) => format.count(tile[name]), tone: (tile) => tone(tile, name) });
const seconds = (name) => ({ value: (tile) => tile[name], text: (tile, { format }) => format.seconds(tile[name]), tone: (tile) => tone(tile, name) });
const agents = (name) => ({ value: (tile) => tile.agents[name] ?? 0, text: (tile, { format }) => format.count(tile.agents[name] ?? 0), tone: (tile) => tone(tile, name) });

/** Measure -> how it is sorted, written and judged. */
const COLUMNS = {
  waiting: count("waiting"),
  at_risk: { ...count("at_risk"), tone: (tile) => tone(tile, "at_risk") || (tile.at_risk ? "watch" : "") },
  longest_wait: {
    value: (tile, { board }) => board.longestWait(tile),
    text: (tile, { board, format }) => format.stopwatch(board.longestWait(tile)),
    tone: (tile) => tone(tile, "longest_wait_s"),
  },
  sl_offered: { value: (tile) => tile.sl.value, text: (tile, { format }) => format.percent(tile.sl.value), tone: (tile) => tone(tile, "sl") || slTone(tile) },
  n: { value: (tile) => tile.sl.n, text: (tile, { format }) => format.count(tile.sl.n) },
  target: {
    value: (tile) => tile.target,
    text: (tile, { format }) => `${format.promise(tile.target)} / ${format.seconds(tile.x_s)}`,
  },
  asa_s: seconds("asa_s"),
  aht_s: seconds("aht_s"),
  abandonment_rate: ratio("abandonment"),
  answer_rate: ratio("answer_rate"),
  offered: count("offered"),
  answered: count("answered"),
  abandoned: count("abandoned"),
  callback: count("callback"),
  silent_abandoned: count("silent_abandoned"),
  first_response_s: seconds("first_response_s"),
  available: agents("available"),
  busy: agents("busy"),
  wrap_up: agents("wrap_up"),
  break: agents("break"),
};

class Row {
  constructor(key, show) {
    this.key = key;
    this._show = show;
    this._written = null;
    this.isSeen = false;
    this._badge = new Badge();
    this._name = el("button", { type: "button", class: "name", click: () => show.open(key) });
    this._channel = el("td", { class: "channel" });
    this._ack = el("span", { class: "attention" });
    this._trend = new Trend();
    this._cells = Object.keys(COLUMNS).map((name) => el("td", { class: "number", "data-measure": name }, el("span")));
    this.node = el("tr", { class: "row" }, el("td", {}, this._badge.node, this._ack), el("th", { scope: "row" }, this._name),
      this._channel, ...this._cells, el("td", {}, this._trend.node));
  }

  get tile() {
    return this._show.board.tiles.get(this.key);
  }

  update() {
    const { tile } = this;
    if (!tile) return;
    if (tile !== this._written) this._write(tile);
    this.tick();
  }

  _write(tile) {
    const { format, words } = this._show;
    this._written = tile;
    setText(this._name, tile.queue);
    setText(this._channel, words.say(tile.channel));
    const [now, most] = [tile.trend.at(-1) ?? 0, Math.max(0, ...tile.trend)].map((n) => format.count(n));
    this._trend.update(tile.trend, words.say("trend_of", { now, most }));
    Object.values(COLUMNS).forEach((column, at) => {
      setText(this._cells[at].firstChild, column.text(tile, this._show));
      setAttribute(this._cells[at], "data-tone", column.tone?.(tile) || null);
    });
  }

  tick() {
    const { board, format, words } = this._show;
    const tile = this._written;
    if (!tile) return;
    const isStale = board.isStale(tile);
    const recovered = isStale ? null : board.recoveredFor(this.key);
    const ack = board.ackOf(this.key);
    setText(this._cells[2].firstChild, COLUMNS.longest_wait.text(tile, this._show));
    setAttribute(this.node, "data-tone", isStale ? "stale" : toneOf(tile));
    this._badge.update(isStale ? "stale" : toneOf(tile), words.say(isStale ? "stale" : stateWord(tile)));
    setText(this._ack, ack ? `✓ ${words.say("acknowledged", { by: ack.by, at: format.time(ack.at_ms) })}`
      : recovered === null ? "" : words.say("recovered_ago", { age: format.age(recovered) }));
  }

  /** One flash, where it is seen and motion is welcome; begun without a layout, which two hundred rows would feel. */
  flash() {
    if (!this.isSeen || STILL.matches) return;
    this.node.animate([{ offset: 0.2, background: "var(--act)" }], { duration: FLASH_MS, easing: "ease-out" });
  }
}

/**
 * Columns as wide as the browser makes them in a plain table, then kept: rows that need not be measured together are
 * laid out and painted one by one, and only in sight.
 */
class Widths {
  constructor() {
    this.fittedAt = -Infinity;
    this._sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(this._sheet);
  }

  close() {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this._sheet);
  }

  fit(table) {
    this.fittedAt = performance.now();
    table.classList.remove("fitted");
    const widths = [...table.tHead.rows[0].cells].map((cell) => cell.getBoundingClientRect().width);
    this._sheet.replaceSync(widths.map((px, at) => `.fitted tr > :nth-child(${at + 1}) { flex: 0 0 ${px}px; }`).join("\n"));
    table.classList.add("fitted");
  }
}

export class Desk {
  constructor(root, show) {
    this._show = show;
    this._rows = new Map();
    this._sort = { name: "need", up: false };
    this._sortedAt = -Infinity;
    this._isUnsorted = false;
    this._frame = 0;
    this._widths = new Widths();
    const { words } = show;
    const again = () => this._arrange();
    this._text = el("input", { type: "search", "aria-label": words.say("filter"), placeholder: words.say("filter"), input: again });
    this._state = el("select", { "aria-label": words.say("state"), change: again },
      ...["all_states", "needy"].map((each) => el("option", { value: each }, words.say(each))));
    this._channel = el("select", { "aria-label": words.say("channel"), change: again }, el("option", { value: "" }, words.say("all_channels")));
    this._shownNote = el("span", { class: "note", role: "status" });
    this._heads = new Map();
    this._body = el("tbody");
    const head = el("tr", {}, this._head("need", words.say("state")), this._head("queue", words.say("queue")), this._head("channel", words.say("channel")),
      ...Object.keys(COLUMNS).map((name) => this._head(name, words.label(name, true), name)),
      el("th", { scope: "col" }, term(words, "trend", { stop: true })));
    root.replaceChildren(
      el("form", { class: "filters", role: "search", submit: (event) => event.preventDefault() }, this._text, this._state, this._channel, this._shownNote),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.say("queues") },
        this._table = el("table", {}, el("caption", { class: "unseen" }, words.say("queues")), el("thead", {}, head), this._body)));
    const region = this._table.parentElement;
    this._resized = new ResizeObserver(() => this._widths.fit(this._table));
    this._resized.observe(region);
    this._sight = new IntersectionObserver((entries) => entries.forEach((entry) => this._sees(entry)), { root: region, rootMargin: "100%" });
  }

  close() {
    this._sight.disconnect();
    this._resized.disconnect();
    this._widths.close();
  }

  update(change) {
    const isOther = this._meet();
    this._frame += 1;
    let number = 0;
    for (const row of this._rows.values()) if (row.isSeen || (number++ + this._frame) % SHARE === 0) row.update();
    for (const key of change.breached) this._rows.get(key).flash();
    this._isUnsorted ||= change.reordered;
    if (isOther) {
      this._arrange();
      this._widths.fit(this._table);
    } else this._resort();
  }

  tick() {
    for (const row of this._rows.values()) if (row.isSeen) row.tick();
    this._resort();
  }

  /** A row for every queue there is; true when there are others than before. */
  _meet() {
    const { tiles } = this._show.board;
    const gone = [...this._rows.keys()].filter((key) => !tiles.has(key));
    const come = [...tiles.keys()].filter((key) => !this._rows.has(key));
    for (const key of gone) {
      this._sight.unobserve(this._rows.get(key).node);
      this._rows.delete(key);
    }
    for (const key of come) {
      const row = new Row(key, this._show);
      row.update();
      row.node.row = row;
      this._rows.set(key, row);
      this._sight.observe(row.node);
    }
    return gone.length + come.length > 0;
  }

  _sees({ target, isIntersecting }) {
    target.row.isSeen = isIntersecting;
    if (isIntersecting) target.row.update();
  }

  _resort() {
    if (performance.now() - this._sortedAt > (this._isUnsorted ? RESORT_SOON_MS : RESORT_MS)) this._arrange();
  }

  _head(name, text, measure = null) {
    const button = el("button", { type: "button", class: "term", "data-term": measure, click: () => this._sortBy(name) }, text);
    const head = el("th", { scope: "col", class: measure ? "number" : null, "data-column": name }, button);
    this._heads.set(name, head);
    return head;
  }

  /** First click: what is most, or the first of names; second click: the other way round. */
  _sortBy(name) {
    const isName = name === "queue" || name === "channel" || name === "need";
    this._sort = this._sort.name === name ? { name, up: !this._sort.up } : { name, up: isName && name !== "need" };
    this._arrange();
  }

  _arrange() {
    this._sortedAt = performance.now();
    this._isUnsorted = false;
    for (const [name, head] of this._heads) {
      setAttribute(head, "aria-sort", name === this._sort.name ? (this._sort.up ? "ascending" : "descending") : null);
    }
    this._offerChannels();
    const wanted = this._text.value.trim().toLocaleLowerCase();
    const fits = ({ tile }) =>
      tile.queue.toLocaleLowerCase().includes(wanted) && (this._state.value !== "needy" || toneOf(tile) !== "ok") &&
      (!this._channel.value || tile.channel === this._channel.value);
    const shown = this._sorted().filter(fits);
    setChildren(this._body, shown.map((row) => row.node));
    const { format, words } = this._show;
    if (performance.now() - this._widths.fittedAt > REFIT_MS) this._widths.fit(this._table);
    setText(this._shownNote, words.say("shown", { n: format.count(shown.length), all: format.count(this._rows.size) }));
  }

  _sorted() {
    const { board } = this._show;
    const { name, up } = this._sort;
    const byNeed = board.byNeed().map((key) => this._rows.get(key));
    if (name === "need") return up ? byNeed.reverse() : byNeed;
    const value = (row) => (COLUMNS[name] ? COLUMNS[name].value(row.tile, this._show) : row.tile[name]);
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, this._show.words.lang) : a - b);
    // What does not exist comes last, whichever way.
    return byNeed.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return up ? compare(x, y) : compare(y, x);
    });
  }

  _offerChannels() {
    const known = new Set([...this._channel.options].map((option) => option.value));
    for (const { tile } of this._rows.values()) {
      if (known.has(tile.channel)) continue;
      known.add(tile.channel);
      this._channel.append(el("option", { value: tile.channel }, this._show.words.say(tile.channel)));
    }
  }
}
