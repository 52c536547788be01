// What stands behind a queue's number? Its windows, its day, its contacts, and who has seen the breach.
// Knows no other queue, and of contacts only pseudonyms.

import { stateWord, toneOf } from "./board.js";
import { el, setAttribute, setChildren, setText, term } from "./dom.js";
import { Badge } from "./tile.js";
import { explained } from "./tips.js";

const EVERY_MS = 5000;
const NAME_KEPT = "queuelight.name";
const WINDOWS = ["1m", "5m", "15m", "30m", "1h", "day"];
const MEASURES = {
  sl_offered: "percent", sl_short_out: "percent", sl_abandoned_late: "percent", sl_removed: "percent", sl_answered: "percent",
  asa_s: "seconds", aht_s: "seconds", abandonment_rate: "percent", answer_rate: "percent", offered: "count", answered: "count",
  answered_in_x: "count", abandoned: "count", abandoned_short: "count", callback: "count", overflowed: "count",
  silent_abandoned: "count", first_response_s: "seconds", transferred_out: "count", occupancy: "percent",
};
const DAY = {
  offered: "count", answered: "count", answered_in_x: "count", abandoned: "count", callback: "count", overflowed: "count",
  sl_offered: "percent", asa_s: "seconds", abandonment_rate: "percent",
};

export class Panel {
  constructor() {
    this.show = null;
    this._dialog = document.getElementById("panel");
    this._dialog.addEventListener("close", () => this._closed());
    this._dialog.addEventListener("click", (event) => event.target === this._dialog && this._dialog.close());
    this._basis = "windows";
    this._timer = 0;
    this._asked = 0;
    this.key = null;
  }

  open(key, focusAcknowledge = false) {
    const { board, words } = this.show;
    const tile = board.tiles.get(key);
    if (!tile) return;
    this.key = key;
    this._details = null;
    this._queue = { queue: tile.queue, channel: tile.channel };
    this._badge = new Badge();
    this._body = el("div", { class: "details" }, el("p", { class: "notice" }, words.say("reading")));
    this._asOf = el("p", { class: "note", role: "status" });
    this._ack = el("p", { class: "attention" });
    this._form = this._acknowledgement();
    this._fill(`${tile.queue} · ${words.say(tile.channel)}`, this._badge.node, this._ack, this._form, this._asOf, this._body);
    this.update();
    if (focusAcknowledge) this._form.querySelector("input").focus();
    this._read();
  }

  /** Every definition, for those who cannot point at a word. */
  openMeanings() {
    const { words } = this.show;
    this.key = null;
    this._fill(words.say("meaning"), el("dl", { class: "meanings" }, ...words.measures.map(([name, found]) => {
      const [label, ...rest] = explained(found, words);
      return el("div", { "data-meaning": name }, el("dt", {}, label), el("dd", {}, ...rest));
    })));
  }

  /** A list that somebody else makes, under its own title. */
  openList(title, ...parts) {
    this.key = null;
    this._fill(title, ...parts);
  }

  update() {
    const { board, format, words } = this.show;
    const tile = board.tiles.get(this.key);
    if (!tile || !this._dialog.open) return;
    const isStale = board.isStale(tile);
    const ack = board.ackOf(this.key);
    this._badge.update(isStale ? "stale" : toneOf(tile), words.say(isStale ? "stale" : stateWord(tile)));
    setText(this._ack, ack ? `✓ ${words.say("acknowledged", { by: ack.by, at: format.time(ack.at_ms) })}` : "");
    this._form.hidden = toneOf(tile) !== "act" || ack !== null || isStale;
    this.tick();
  }

  tick() {
    if (!this._details || !this._dialog.open) return;
    const { board, format, words } = this.show;
    const tile = board.tiles.get(this.key);
    const isStale = !tile || board.isStale(tile);
    const now = isStale ? this._details.published_ms : board.now();
    setAttribute(this._body, "data-tone", isStale ? "stale" : null);
    setText(this._asOf, isStale ? words.say("as_of", { at: format.exactTime(now) }) : "");
    for (const cell of this._body.querySelectorAll("[data-queued]")) {
      setText(cell, format.stopwatch((now - cell.dataset.queued) / 1000));
    }
  }

  _fill(title, ...content) {
    const { words } = this.show;
    const close = el("button", { type: "button", class: "close", "aria-label": words.say("close"), click: () => this._dialog.close() }, "×");
    this._dialog.replaceChildren(el("header", {}, el("h2", { id: "panel-title" }, title), close), ...content);
    this._dialog.setAttribute("aria-labelledby", "panel-title");
    if (!this._dialog.open) this._dialog.showModal();
  }

  _closed() {
    clearTimeout(this._timer);
    document.body.append(document.getElementById("tip"));
    this._dialog.replaceChildren();
    this.key = this._details = null;
  }

  // --- who has seen it ----------------------------------------------------------------------------------------

  _acknowledgement() {
    const { words } = this.show;
    const name = el("input", { name: "by", required: true, maxlength: 80, autocomplete: "off", value: localStorage.getItem(NAME_KEPT) ?? "", "aria-label": words.say("acknowledge_as"), placeholder: words.say("acknowledge_as") });
    const trouble = el("span", { class: "note", role: "status" });
    const queue = this._queue;
    return el("form", { class: "acknowledge", submit: async (event) => {
      event.preventDefault(); // the address bar never sees a name
      const by = name.value.trim();
      if (!by) return;
      localStorage.setItem(NAME_KEPT, by);
      setText(trouble, (await this._send({ ...queue, by })) ? "" : words.say("acknowledged_not"));
    } }, name, el("button", {}, words.say("acknowledge")), trouble);
  }

  async _send(said) {
    try {
      const answer = await fetch(`api/v1/acknowledgements?${this.show.query}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(said) });
      return answer.ok;
    } catch {
      return false;
    }
  }

  // --- what stands behind it ----------------------------------------------------------------------------------

  get _address() {
    return `api/v1/queues/${encodeURIComponent(this._queue.queue)}`;
  }

  get _channelQuery() {
    return `channel=${encodeURIComponent(this._queue.channel)}&${this.show.query}`;
  }

  async _read() {
    clearTimeout(this._timer);
    const asked = ++this._asked;
    let [details, why] = [null, ""];
    try {
      const answer = await fetch(`${this._address}?${this._channelQuery}`, { cache: "no-store" });
      if (answer.ok) details = await answer.json();
      else why = String(answer.status);
    } catch {
      why = this.show.words.say("why_network");
    }
    if (asked !== this._asked || this.key === null) return; // closed, or another queue meanwhile
    this._details = details;
    if (details) this._draw();
    else setChildren(this._body, [el("p", { class: "notice", role: "alert" }, this.show.words.say("no_details", { why }))]);
    this._timer = setTimeout(() => this._read(), EVERY_MS);
  }

  _draw() {
    const focused = this._body.contains(document.activeElement) ? document.activeElement.dataset.part : null;
    const scrolled = [...this._body.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
    this._body.replaceChildren(this._contacts(), this._windows(), this._day());
    this._body.querySelectorAll(".scroll").forEach((box, at) => box.scrollTo(...(scrolled[at] ?? [0, 0])));
    if (focused) this._body.querySelector(`[data-part="${focused}"]`)?.focus();
    this.tick();
  }

  _windows() {
    const { format, words } = this.show;
    const measured = this._details[this._basis] ?? {};
    const basis = el("select", { "data-part": "basis", "aria-label": words.say("windows"), change: (event) => {
      this._basis = event.target.value;
      this._draw();
    } }, ...[["windows", "basis_event"], ["arrival", "basis_arrival"]].map(([value, text]) =>
      el("option", { value, selected: value === this._basis }, words.say(text))));
    const windows = WINDOWS.filter((name) => name in measured);
    return this._section("windows", basis, this._table("windows", [words.say("measure"), ...windows.map((name) => words.say(name))],
      Object.entries(MEASURES).map(([name, kind]) => [term(words, name, { short: false, stop: true }), ...windows.map((window) => format[kind](measured[window][name]))])));
  }

  _day() {
    const { format, words } = this.show;
    const csv = el("a", { "data-part": "csv", href: `${this._address}/intervals.csv?${this._channelQuery}`, download: true }, words.say("csv"));
    const rows = (this._details.intervals ?? []).map((each) => [format.time(each.start_ms), ...Object.entries(DAY).map(([name, kind]) => format[kind](each[name]))]);
    return this._section("intervals", csv, this._table("intervals", [words.say("at"), ...Object.keys(DAY).map((name) => words.label(name, true))], rows.reverse()));
  }

  _contacts() {
    const { format, words } = this.show;
    const now = (queued) => el("span", { "data-queued": queued });
    const more = this._details.more_waiting ? `${words.say("more_waiting", { n: format.count(this._details.more_waiting) })}.` : "";
    const waiting = (this._details.waiting ?? []).map((each) => [each.id, format.exactTime(each.queued_ms), now(each.queued_ms)]);
    const abandoned = (this._details.abandoned ?? []).map((each) => [each.id, format.exactTime(each.left_ms), format.stopwatch(each.wait_s)]);
    return el("div", { class: "contacts" },
      this._section("waiting_now", el("span", { class: "note" }, [more, words.say("pseudonyms")].join(" ").trim()), this._table("waiting_now", ["contact", "since", "wait"].map((key) => words.say(key)), waiting)),
      this._section("abandoned_lately", null, this._table("abandoned_lately", ["contact", "left", "wait"].map((key) => words.say(key)), abandoned)));
  }

  _section(title, tool, content) {
    return el("section", {}, el("header", {}, el("h3", {}, this.show.words.say(title)), tool), content);
  }

  _table(name, heads, rows) {
    const { words } = this.show;
    const isTold = name === "intervals" ? this._details.day_ms : this._details.listed_ms;
    if (!rows.length) return el("p", { class: "note" }, words.say(isTold ? "nobody" : "unlisted"));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.say(name), "data-part": name },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
        el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", { class: "number" }, cell)))))));
  }
}
