// Which alerts fire? A quiet mark above the queues, and a list behind it; asked for apart from the stream of numbers.
// Knows no rules: what is said of an alert, the alert says itself.

import { drawing, el, setAttribute, setText } from "./dom.js";
import { Badge, LEVEL_TONES } from "./tile.js";

const EVERY_MS = 10_000;
const TONES = { ...LEVEL_TONES, info: "ok" };
const STATES = { critical: "critical", warning: "warning", info: "ok" };

export class Alerts {
  /** `open(title, ...parts)` shows a list. */
  constructor(address, open) {
    this.show = null;
    this._address = address;
    this._open = open;
    this._said = null; // the last answer
    this._isLost = false; // the wallboard did not answer
    this._mark = document.getElementById("alerts");
    this._mark.addEventListener("click", () => this._list());
  }

  /** Ask from now on, unless there is no Alertmanager to ask. A thousand screens do not ask in the same instant. */
  async start() {
    if (!(await this._ask())) return;
    setTimeout(() => this.start(), EVERY_MS * (0.75 + Math.random() / 2));
  }

  async _ask() {
    try {
      const answer = await fetch(this._address, { cache: "no-store" });
      if (answer.status === 204) return false;
      this._isLost = !answer.ok;
      if (answer.ok) this._said = await answer.json();
    } catch {
      this._isLost = true;
    }
    this.update();
    return true;
  }

  get _isKnown() {
    return !this._isLost && this._said?.known;
  }

  update() {
    const { words } = this.show;
    this._mark.hidden = this._said === null;
    if (this._said === null) return;
    const { alerts } = this._said;
    const tone = !this._isKnown ? "stale" : alerts.length ? (TONES[alerts[0].severity] ?? "watch") : "ok";
    const text = this._isKnown ? words.say("alerts_firing", { n: alerts.length }) : words.say("alerts_unknown");
    if (this._mark.dataset.tone !== tone) this._mark.replaceChildren(drawing(`shape-${tone}`), el("span"));
    setAttribute(this._mark, "data-tone", tone);
    setText(this._mark.lastChild, text);
  }

  _list() {
    const { words, format } = this.show;
    const { alerts, as_of: asOf, watched } = this._said;
    const notes = [];
    if (!this._isKnown) notes.push(asOf === null ? words.say("alerts_never") : words.say("alerts_silent", { at: format.exactTime(asOf) }));
    else if (!watched) notes.push(words.say("alerts_unwatched"));
    if (this._isKnown && !alerts.length) notes.push(words.say("alerts_none"));
    this._open(words.say("alerts"), ...notes.map((note) => el("p", { class: "attention" }, note)), ...alerts.map((each) => this._alert(each)));
  }

  _alert(alert) {
    const { board, words, format } = this.show;
    const tone = TONES[alert.severity] ?? "watch";
    const badge = new Badge();
    badge.update(tone, words.say(STATES[alert.severity] ?? alert.severity));
    const where = [alert.queue || alert.subject, alert.channel && words.say(alert.channel)].filter(Boolean).join(" · ");
    const since = Date.parse(alert.since);
    const age = format.age(((board.now() ?? Date.now()) - since) / 1000);
    const numbers = [alert.value, alert.limit && words.say("limit", { limit: alert.limit }), alert.n && `n ${alert.n}`];
    return el("section", { class: "alert", "data-tone": tone, "data-alert": alert.alert },
      el("h3", {}, where || alert.site), badge.node,
      el("p", {}, (words.lang === "ja" && alert.summary_ja) || alert.summary),
      el("p", {}, numbers.filter(Boolean).join(" · ")),
      el("p", { class: "note" }, words.say("since_at", { at: format.exactTime(since), age })));
  }
}
