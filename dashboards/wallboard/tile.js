// How does one queue look on a wall or a phone? Knows no other tile and no order.

import { stateWord, toneOf } from "./board.js";
import { LevelBar, Trend } from "./charts.js";
import { drawing, el, setAttribute, setText, term } from "./dom.js";

const AGENTS = ["available", "busy", "wrap_up", "break", "lost"];
const FITS = [1, 0.86, 0.74, 0.64, 0.55, 0.47, 0.41, 0.35];
const SHAPES = { act: "shape-act", watch: "shape-watch", ok: "shape-ok", stale: "shape-stale", plain: "shape-plain" };
export const LEVEL_TONES = { critical: "act", warning: "watch" };

/** Colour, shape and word of a state, in one element. */
export class Badge {
  constructor() {
    this.node = el("span", { class: "badge" });
    this._shown = "";
  }

  update(tone, word) {
    if (this._shown === tone + word) return;
    this._shown = tone + word;
    this.node.dataset.tone = tone;
    this.node.replaceChildren(drawing(SHAPES[tone]), el("span", {}, word));
  }
}

/** A value with its name; a tone puts a shape beside it, so that colour is never alone. */
class Figure {
  constructor(words, measure, { name = measure, text = "" } = {}) {
    this._words = words;
    this._value = el("span", { class: "value" });
    this._mark = el("span", { class: "mark" });
    this._tone = "";
    this.node = el("div", { class: "figure", "data-measure": measure },
      el("dt", {}, term(words, name, { text })), el("dd", {}, this._mark, this._value));
  }

  update(text, tone = "") {
    setText(this._value, text);
    if (tone === this._tone) return;
    this._tone = tone;
    setAttribute(this.node, "data-tone", tone || null);
    const word = tone === "act" ? "critical" : "warning";
    this._mark.replaceChildren(...(tone ? [drawing(SHAPES[tone]), el("span", { class: "unseen" }, this._words.say(word))] : []));
  }
}

export class Tile {
  /** `show`: {board, format, words, open(key), acknowledge(key)}. */
  constructor(key, show) {
    this.key = key;
    this._show = show;
    const { words } = show;
    const figure = (measure, options) => (this._figures[measure] = new Figure(words, measure, options)).node;
    this._figures = {};
    this._name = el("button", { type: "button", class: "name", click: () => show.open(key) });
    this._channel = el("span", { class: "channel" });
    this._badge = new Badge();
    this._bar = new LevelBar();
    this._trend = new Trend();
    this._note = el("p", { class: "note" });
    this._attention = el("span", { class: "attention" });
    this._ask = el("button", { type: "button", class: "ask", click: () => show.acknowledge(key) }, words.say("acknowledge"));
    const ofChannel = key.endsWith("chat") ? ["silent_abandoned", "first_response_s"] : ["callback", "aht_s"];
    this.node = el("article", { class: "tile" },
      el("header", {}, el("h2", {}, this._name),
        el("p", { class: "status" }, this._badge.node, el("span", { class: "beneath" }, this._channel, this._attention, this._ask))),
      el("dl", { class: "hero" }, figure("waiting"), figure("longest_wait"), figure("at_risk")),
      el("div", { class: "level" }, el("dl", {}, figure("sl_offered", { text: words.label("sl_offered") })),
        el("div", { class: "lately" }, this._trend.node, this._bar.node, this._note)),
      el("dl", { class: "more" }, ...["asa_s", "abandonment_rate", "answer_rate", ...ofChannel, ...AGENTS].map((name) => figure(name))));
    this._fitted = "";
  }

  update() {
    const { board, format, words } = this._show;
    const tile = (this._tile = board.tiles.get(this.key));
    if (!tile) return;
    setText(this._name, tile.queue);
    setText(this._channel, words.say(tile.channel));
    const show = (name, text, tone) => this._figures[name]?.update(text, tone);
    const limit = (name) => LEVEL_TONES[tile.levels[name]] ?? "";
    show("waiting", format.count(tile.waiting), limit("waiting"));
    show("at_risk", format.count(tile.at_risk), limit("at_risk") || (tile.at_risk ? "watch" : ""));
    show("sl_offered", format.percent(tile.sl.value), limit("sl") || slTone(tile));
    show("asa_s", format.seconds(tile.asa_s), limit("asa_s"));
    show("abandonment_rate", format.percent(tile.abandonment.value), limit("abandonment"));
    show("answer_rate", format.percent(tile.answer_rate.value), limit("answer_rate"));
    show("callback", format.count(tile.callback), limit("callback"));
    show("aht_s", format.seconds(tile.aht_s), limit("aht_s"));
    show("silent_abandoned", format.count(tile.silent_abandoned), limit("silent_abandoned"));
    show("first_response_s", format.seconds(tile.first_response_s), limit("first_response_s"));
    for (const name of AGENTS) show(name, format.count(tile.agents[name] ?? 0), name === "lost" ? "" : limit(name));
    this._figures.lost.node.hidden = !tile.agents.lost;
    this._bar.update(tile.sl, tile.target, limit("sl") || slTone(tile));
    const promise = words.say("target_note", { target: format.promise(tile.target), x: format.seconds(tile.x_s) });
    setText(this._note, [promise, words.say("n_note", { n: format.count(tile.sl.n) }), words.window(board.config.window)].join(" · "));
    const [now, most] = [tile.trend.at(-1) ?? 0, Math.max(0, ...tile.trend)].map((n) => format.count(n));
    this._trend.update(tile.trend, words.say("trend_of", { now, most }));
    this.tick();
  }

  /** What time alone changes: waits, ages, recovery. */
  tick() {
    const { board, format, words } = this._show;
    const tile = this._tile;
    if (!tile) return;
    const isStale = board.isStale(tile);
    const tone = toneOf(tile);
    const recovered = isStale ? null : board.recoveredFor(this.key);
    const wait = format.stopwatch(board.longestWait(tile, isStale));
    setAttribute(this._figures.longest_wait.node, "data-long", wait.length > 5 ? "yes" : null);
    this._figures.longest_wait.update(wait, LEVEL_TONES[tile.levels.longest_wait_s] ?? "");
    setAttribute(this.node, "data-tone", isStale ? "stale" : tone);
    setAttribute(this.node, "data-recovered", recovered === null ? null : "yes");
    this._badge.update(isStale ? "stale" : tone, words.say(isStale ? "stale" : recovered === null ? stateWord(tile) : tone === "ok" ? "recovered" : stateWord(tile)));
    const ack = board.ackOf(this.key);
    const told = ack ? `✓ ${words.say("acknowledged", { by: ack.by, at: format.time(ack.at_ms) })}`
      : recovered === null ? "" : words.say("recovered_ago", { age: format.age(recovered) });
    setText(this._attention, told);
    this._ask.hidden = tone !== "act" || ack !== null || isStale;
  }

  /** True when name or room are others than when it was fitted last. */
  needsFit() {
    const box = this._name.parentElement;
    const measured = `${this._name.textContent}|${box.clientWidth}|${box.clientHeight}`;
    if (measured === this._fitted || !box.clientWidth) return false;
    this._fitted = measured;
    return true;
  }

  set nameScale(scale) {
    this._name.style.fontSize = `${scale}em`;
  }

  get nameFits() {
    const box = this._name.parentElement;
    return this._name.offsetHeight <= box.clientHeight && this._name.scrollWidth <= box.clientWidth;
  }

  /** One flash, for those whose system allows motion (see the style sheet). */
  flash() {
    this.node.classList.remove("flash");
    void this.node.offsetWidth; // begins the animation anew
    this.node.classList.add("flash");
  }
}

/** Long names wrap, then shrink, until they fit. All tiles together: the browser lays out once per size, not per tile. */
export function fitNames(tiles) {
  let rest = tiles.filter((tile) => tile.needsFit());
  for (const scale of FITS) {
    for (const tile of rest) tile.nameScale = scale;
    rest = rest.filter((tile) => !tile.nameFits);
    if (!rest.length) return;
  }
}

/** A level below its promise: to act on, or only to watch while it rests on few contacts. */
export function slTone(tile) {
  if (tile.sl.value === null || tile.sl.value >= tile.target) return "";
  return tile.state === "breach" ? "act" : "watch";
}
