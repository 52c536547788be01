// Who is stuck on the web site, which pages precede contacts, and did help help? Three tables under one line of figures.
// Knows no queues but by name, and of visitors only how many there are.

import { LiftBar, RateBar } from "./charts.js";
import { el, setAttribute, setChildren, setText, term } from "./dom.js";
import { Badge } from "./tile.js";

const VERDICTS = { precedes: "act", announces: "plain", contact: "plain", none: "ok", unsure: "plain" };
const EFFECTS = { helps: "ok", harms: "act", "not shown": "plain" };
const MOST_PAGES = 12; // a board is no report: the rest is told as a number
const MOST_REASONS = 3;
const RANK = ["precedes", "none", "unsure", "announces", "contact"]; // what has contacts of others, or is for contacts, comes last

/** A table whose rows keep their elements; `columns`: [measure or word, is it a number?]. */
class Table {
  constructor(words, name, columns) {
    this._rows = new Map();
    this._body = el("tbody");
    this._empty = el("p", { class: "note" });
    const heads = columns.map(([key, isNumber]) =>
      el("th", { scope: "col", class: isNumber ? "number" : null }, words.definition(key) ? term(words, key, { stop: true }) : words.say(key)));
    this._scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words.say(name) },
      el("table", {}, el("caption", { class: "unseen" }, words.say(name)), el("thead", {}, el("tr", {}, ...heads)), this._body));
    this._note = el("p", { class: "note", role: "status" });
    this.node = el("section", { class: "part", "data-part": name }, el("h2", {}, words.say(name)), this._scroll, this._empty, this._note);
  }

  get rows() {
    return [...this._rows.values()];
  }

  /** `make()`: a row with `node` and `update(item)`. */
  update(items, keyOf, make, empty, note = "") {
    const known = new Set(items.map(keyOf));
    for (const key of this._rows.keys()) if (!known.has(key)) this._rows.delete(key);
    for (const item of items) {
      const key = keyOf(item);
      if (!this._rows.has(key)) this._rows.set(key, make());
      this._rows.get(key).update(item);
    }
    setChildren(this._body, items.map((item) => this._rows.get(keyOf(item)).node));
    this._scroll.hidden = items.length === 0;
    setText(this._empty, items.length ? "" : empty);
    setText(this._note, note);
  }
}

class StuckRow {
  constructor(show) {
    this._show = show;
    this._badge = new Badge();
    [this._page, this._reasons, this._queue, this._offer] = [el("th", { scope: "row" }), el("td", { class: "long" }), el("td", { class: "long" }), el("td", { class: "long" })];
    [this._count, this._since] = [el("td", { class: "number big" }), el("td", { class: "number" })];
    this.node = el("tr", {}, this._page, this._count, this._since, this._reasons, this._queue, this._offer);
    this._mark = el("span", { class: "advice" });
    this._why = el("span", { class: "note" });
    this._mark.append(this._badge.node);
    this._offer.append(this._mark, this._why);
  }

  update(page) {
    const { words, format } = this._show;
    this._sinceMs = page.since_ms;
    setText(this._page, page.page);
    setText(this._count, format.count(page.stuck));
    setText(this._reasons, Object.keys(page.reasons).slice(0, MOST_REASONS).map((code) => words.reason(code)).join(" · ") || "-");
    const free = page.free === null ? words.say("free_unknown") : words.say("free_agents", { n: format.count(page.free) });
    setText(this._queue, page.queue === null ? "-" : `${page.queue} · ${free}`);
    const isOffered = page.offers > 0;
    this._badge.update(isOffered ? "ok" : "watch", isOffered ? words.say("offer_now", { n: format.count(page.offers) }) : words.say("offer_withheld"));
    const why = Object.entries(page.withheld).map(([reason, n]) => words.say("withheld_for", { why: words.say(`withheld_${reason}`), n: format.count(n) }));
    setText(this._why, why.join(", "));
    this.tick();
  }

  tick() {
    const { board, format } = this._show;
    setText(this._since, format.stopwatch((board.now() - this._sinceMs) / 1000));
  }
}

class PageRow {
  constructor(show) {
    this._show = show;
    this._badge = new Badge();
    this._bar = new LiftBar();
    this._page = el("th", { scope: "row" }, this._name = el("span"), this._note = el("span", { class: "note" }));
    const number = () => el("td", { class: "number" });
    [this._rate, this._base, this._lift, this._n, this._lead] = [number(), number(), number(), number(), number()];
    this._reasons = el("td", { class: "long" });
    this.node = el("tr", {}, el("td", {}, this._badge.node), this._page, this._rate, this._base, this._lift, el("td", { class: "drawn" }, this._bar.node), this._n, this._lead, this._reasons);
  }

  update({ page, base, most }) {
    const { words, format } = this._show;
    const { contact } = page;
    setAttribute(this.node, "data-verdict", page.verdict);
    setText(this._name, words.page(page.page));
    setText(this._note, page.announced_by ? words.say("announced_by", { page: words.page(page.announced_by) }) : "");
    this._badge.update(VERDICTS[page.verdict], words.say(`verdict_${page.verdict}`));
    setText(this._rate, format.percent(contact.rate));
    setText(this._base, format.percent(base.rate));
    setText(this._lift, page.lift === null ? "-" : words.say("times", { n: format.decimal(page.lift) }));
    const interval = page.lift_low === null ? "" : words.say("interval", { low: format.decimal(page.lift_low), high: format.decimal(page.lift_high) });
    this._bar.update(page.lift_low === null ? null : { value: page.lift, low: page.lift_low, high: page.lift_high }, most, VERDICTS[page.verdict], interval);
    setText(this._n, format.count(Math.round(contact.n)));
    setText(this._lead, page.lead_median_s === null ? "-" : format.stopwatch(page.lead_median_s));
    const reasons = Object.entries(page.reasons).sort(([, a], [, b]) => b - a).slice(0, MOST_REASONS);
    setText(this._reasons, reasons.map(([reason, n]) => `${reason} ${format.count(Math.round(n))}`).join(" · ") || "-");
  }
}

class OfferRow {
  constructor(show) {
    this._show = show;
    this._badge = new Badge();
    [this._bars, this._effect, this._avoided] = [[new RateBar(), new RateBar()], el("td", { class: "number" }), el("td", { class: "number" })];
    this._arms = this._bars.map((bar, at) => el("div", { class: "arm", "data-arm": at ? "holdout" : "offer" }, el("span", { class: "arm-name" }), el("b"), bar.node, el("span", { class: "note" })));
    [this._page, this._kind, this._done] = [el("th", { scope: "row" }), el("td", { class: "long" }), el("td", { class: "long" })];
    this.node = el("tr", {}, this._page, this._kind, el("td", { class: "drawn wide" }, ...this._arms), this._effect, this._avoided, el("td", {}, this._badge.node), this._done);
  }

  update(result) {
    const { words, format } = this._show;
    setText(this._page, words.page(result.page));
    setText(this._kind, result.kind);
    ["offer", "holdout"].forEach((arm, at) => {
      const { rate, n, low, high } = result[arm].contact;
      const [name, value, , note] = this._arms[at].childNodes;
      setText(name, words.say(`arm_${arm}`));
      setText(value, format.percent(rate));
      setText(note, words.say("n_note", { n: format.count(Math.round(n)) }));
      const interval = rate === null ? "" : words.say("interval", { low: format.percent(low), high: format.percent(high) });
      this._bars[at].update(rate === null ? null : { value: rate, low, high }, interval);
    });
    const span = (value, low, high, write) => (value === null ? "-" : `${write(value)} (${write(low)} … ${write(high)})`);
    setText(this._effect, span(result.effect, result.effect_low, result.effect_high, (x) => format.points(x)));
    setText(this._avoided, span(result.avoided_per_day, result.avoided_low, result.avoided_high, (x) => format.decimal(x)));
    this._badge.update(EFFECTS[result.verdict], words.say(`effect_${result.verdict}`));
    setText(this._done, words.say("shown_accepted", { shown: format.count(result.shown), accepted: format.count(result.accepted), declined: format.count(result.declined) }));
  }
}

export class Web {
  constructor(root, show) {
    this._show = show;
    const { words } = show;
    this._values = {};
    this._written = null;
    this._rows = [];
    this._age = el("p", { class: "age", role: "status" });
    this._head = el("dl", { class: "strip figures" }, ...["web_sessions", "contacted_share", "self_resolution", "silent_leavers", "channel_switches", "stuck"].map((name) => this._figure(name)));
    this._stuck = new Table(words, "stuck_now", [["web_page"], ["stuck", true], ["since_longest", true], ["web_why"], ["lead_queue"], ["offer"]]);
    this._pages = new Table(words, "pages_before", [["page_verdict"], ["web_page"], ["contact_rate", true], ["base_rate", true], ["lift", true], ["lift_interval"], ["n", true], ["lead_time", true], ["contact_reasons"]]);
    this._offers = new Table(words, "offers_by_arm", [["web_page"], ["offer_kind"], ["arms"], ["offer_effect", true], ["avoided", true], ["offer_verdict"], ["offer_done"]]);
    this._parts = el("div", { class: "web" }, this._head, this._stuck.node, this._pages.node, this._offers.node);
    this._empty = el("div", { class: "notice none" }, el("p", {}, words.say("no_web")), el("p", { class: "note" }, words.say("no_web_how")), el("code", {}, '<script src="queuelight.js" data-site="KEY"></script>'), el("code", {}, "queuelight collect --broker HOST:9092"));
    root.replaceChildren(this._age, this._parts, this._empty);
  }

  close() {}

  update() {
    const { web } = this._show.board;
    const report = web?.report ?? null;
    this._parts.hidden = report === null;
    this._empty.hidden = web === null || report !== null;
    if (report !== null && web !== this._written) this._write(web, report);
    this._written = web;
    this.tick();
  }

  tick() {
    const { board, format, words } = this._show;
    const { web } = board;
    const age = board.webAge();
    const isStale = board.isWebStale();
    setAttribute(this._parts, "data-tone", isStale ? "stale" : null);
    const said = web === null ? words.say("waiting_for_web") : age === null ? "" : words.say(isStale ? "web_stale" : "web_age", { age: format.age(age), at: format.exactTime(web.report.as_of_ms) });
    const why = web?.redis_down_since ? ` · ${words.say("why_redis")}` : "";
    // The seconds are for eyes only: read out is that the numbers are out of date.
    setAttribute(this._age, "aria-live", isStale ? "polite" : "off");
    setText(this._age, said + why);
    setAttribute(this._age, "data-tone", isStale ? "watch" : null);
    if (!isStale) for (const row of this._rows) row.tick();
  }

  _figure(name) {
    this._values[name] = el("dd", {}, el("span", { class: "value" }), el("span", { class: "note" }));
    return el("div", { class: "figure", "data-measure": name }, el("dt", {}, term(this._show.words, name, { stop: true, text: this._show.words.label(name) })), this._values[name]);
  }

  _say(name, text, note = "") {
    const [value, beneath] = this._values[name].children;
    setText(value, text);
    setText(beneath, note);
  }

  _write(web, report) {
    const { format, words } = this._show;
    const ratio = (name, { rate, low, high, n }) =>
      this._say(name, format.percent(rate), rate === null ? "" : `${words.say("interval", { low: format.percent(low), high: format.percent(high) })} · ${words.say("n_note", { n: format.count(Math.round(n)) })}`);
    this._say("web_sessions", format.count(report.sessions), words.say("today"));
    ratio("contacted_share", report.contacted);
    ratio("self_resolution", report.self_resolution);
    this._say("silent_leavers", format.count(report.silent_leavers), words.say("today"));
    const [first] = report.switches;
    const all = report.switches.reduce((sum, each) => sum + each.count, 0);
    this._say("channel_switches", format.count(Math.round(all)), first ? `${words.say(first.from_channel)} → ${words.say(first.to_channel)} ${format.count(Math.round(first.count))}` : "");
    const stuck = web.stuck.reduce((sum, each) => sum + each.stuck, 0);
    this._say("stuck", format.count(stuck), words.say("watched", { n: format.count(web.watched) }));
    this._stuck.update(web.stuck, (each) => each.page, () => new StuckRow(this._show), words.say("nobody_stuck"));
    this._rows = this._stuck.rows;
    const pages = report.pages.slice(0, MOST_PAGES);
    const ranked = [...pages].sort((a, b) => RANK.indexOf(a.verdict) - RANK.indexOf(b.verdict));
    const most = Math.max(2, ...ranked.filter((each) => each.verdict === "precedes").map((each) => each.lift_high ?? 0));
    const rest = report.pages.length - pages.length + report.other_pages;
    this._pages.update(ranked.map((page) => ({ page, base: report.base, most })), (each) => each.page.page, () => new PageRow(this._show), words.say("no_pages"),
      rest > 0 ? words.say("other_pages", { n: format.count(rest), views: format.count(report.other_views) }) : "");
    this._offers.update(report.interventions, (each) => `${each.page}\u001f${each.kind}`, () => new OfferRow(this._show), words.say("no_offers"));
  }
}
