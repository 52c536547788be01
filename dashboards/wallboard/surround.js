// What stands around the queues? Title, clock, the age of the numbers, totals of the site, the truth of the pipeline.
// Knows no single queue but to add up channels.

import { el, setAttribute, setChildren, setText, term } from "./dom.js";

const SILENT_MS = 60_000;
const AGENTS = ["available", "busy", "wrap_up", "break"];
const TRUTH = ["late_dropped", "corrected", "duplicates", "unmatched"];
const $ = (id) => document.getElementById(id);

export class Surround {
  constructor(show) {
    this._show = show;
    this._site = new SiteStrip(show);
    $("site").replaceChildren(this._site.node);
    $("site").setAttribute("aria-label", show.words.say("site"));
    $("truth").setAttribute("aria-label", show.words.say("truth"));
    this._truth = new Map();
  }

  update() {
    const { board } = this._show;
    const title = board.config.title || board.site?.name || "Queuelight";
    setText($("title"), title);
    document.title = title;
    const { name, logo_version: version } = board.config;
    const logo = board.config.logo ? `assets-local/logo?board=${encodeURIComponent(name)}&v=${version}` : null;
    $("logo").hidden = !logo;
    if (logo) setAttribute($("logo"), "src", logo);
    $("site").hidden = !board.site;
    if (board.site) this._site.update();
    this.tick();
  }

  tick() {
    const { board, format, words } = this._show;
    const health = board.health();
    setAttribute(document.body, "data-state", health.state);
    const word = { late: "late", stale: "stale", connecting: "connecting" }[health.state] ?? "live";
    setText($("live-word"), words.say(word));
    const { transport, data } = board.ages();
    const ages = data === null ? [] : [words.say("data_age", { age: format.age(data) })];
    if (health.state !== "live") ages.push(words.say("line_age", { age: format.age(transport) }));
    setText($("live-age"), ages.join(" · "));
    this._banner(health);
    if (board.now() !== null) this._clock(board.now());
    if (board.site) {
      this._site.tick();
      this._pipeline();
    }
  }

  _banner({ state, why, since, age }) {
    const { board, format, words } = this._show;
    const some = state === "live" ? board.partlyStale() : null;
    if (state !== "late" && state !== "stale" && !some) return setText($("banner"), "");
    const from = some ? some.since : since;
    const values = { age: format.age(age), at: from === null ? "" : format.exactTime(from), n: some?.n, all: board.tiles.size };
    const what = some ? "banner_some" : since === null ? "banner_stale_ever" : state === "stale" ? "banner_stale" : "banner_late";
    // The age would be read out every second: it is for eyes only.
    const told = words.say(`why_${some ? "worker" : why}`);
    if ($("banner").dataset.told !== told + state + words.lang || !$("banner").firstChild) {
      $("banner").dataset.told = told + state + words.lang;
      $("banner").replaceChildren(el("strong", { "aria-hidden": "true" }), el("span", { class: "why" }, told));
    }
    setText($("banner").firstChild, words.say(what, values));
  }

  _clock(now) {
    const { format, words } = this._show;
    const business = format.businessDate(now);
    setText($("clock-time"), format.time(now));
    setText($("clock-date"), format.date(now) + (business && ` · ${words.say("business_day", { date: business })}`));
  }

  // --- the truth of the pipeline ------------------------------------------------------------------------------

  _pipeline() {
    const { board, format, words } = this._show;
    const { truth, dead_letters: dead, lost, notices, missing } = board.site;
    // What nobody tells us any more is as old as when it was told: the sources may well have gone on.
    const isStale = board.isStale(board.site);
    const now = isStale ? board.site.published_ms : board.now();
    setAttribute($("truth"), "data-tone", isStale ? "stale" : null);
    const parts = Object.entries(truth).map(([topic, of]) => {
      const age = now - of.newest_event_ms;
      const [isSilent, isUnheard] = [age > SILENT_MS, !of.newest_event_ms];
      const values = { topic: words.say(topic), age: format.age(Math.max(0, age) / 1000) };
      const said = isUnheard ? words.say("silent_ever", values) : isSilent ? words.say("silent", values) : `${values.topic}: ${words.say("newest", values)}`;
      const counts = TRUTH.filter((name) => of[name]).map((name) => `${words.label(name, true)} ${format.count(of[name])}`);
      return this._part(topic, [said, ...counts].join(" · "), isSilent || isUnheard);
    });
    const total = (name) => Object.values(truth).reduce((sum, of) => sum + (of[name] ?? 0), 0);
    const undecodable = Object.values(dead).reduce((sum, n) => sum + n, 0);
    parts.push(this._measure("lag", total("lag")), this._measure("late_dropped", total("late_dropped")), this._measure("corrected", total("corrected")),
      this._measure("undecodable", undecodable), this._measure("lost_contacts", lost));
    notices.forEach((notice, at) => parts.push(this._part(`notice ${at}`, notice, true)));
    for (const queue of missing) parts.push(this._part(`missing ${queue}`, words.say("no_such_queue", { queue }), true));
    setChildren($("truth"), parts);
  }

  _part(name, text, isWarning) {
    const node = this._kept(name, () => el("span", { class: "part" }));
    setText(node, text);
    setAttribute(node, "data-tone", isWarning ? "watch" : null);
    return node;
  }

  _measure(name, n) {
    const { format, words } = this._show;
    const node = this._kept(name, () => el("span", { class: "part" }, term(words, name, { stop: true }), " ", el("b", { "data-truth": name })));
    setText(node.lastChild, format.count(n));
    return node;
  }

  _kept(name, make) {
    if (!this._truth.has(name)) this._truth.set(name, make());
    return this._truth.get(name);
  }
}

/** All queues together. */
class SiteStrip {
  constructor(show) {
    this._show = show;
    this._values = {};
    this._notes = {};
    const groups = [["waiting", "longest_wait", "at_risk"], ["sl_offered", "asa_s", "abandonment_rate", "answer_rate"],
      ["callback", "silent_abandoned"], AGENTS];
    this.node = el("div", { class: "strip" }, ...groups.map((names) => el("dl", {}, ...names.map((name) => this._figure(name)))));
  }

  _figure(name) {
    this._values[name] = el("span", { class: "value" });
    this._notes[name] = el("span", { class: "note" });
    return el("div", { class: "figure", "data-measure": name },
      el("dt", {}, term(this._show.words, name, { stop: true })), el("dd", {}, this._values[name], this._notes[name]));
  }

  update() {
    const { board, format, words } = this._show;
    const { site } = board;
    const show = (name, text, note = "") => {
      setText(this._values[name], text);
      setText(this._notes[name], note);
    };
    show("waiting", format.count(site.waiting), this._byChannel());
    show("at_risk", format.count(site.at_risk));
    show("sl_offered", format.percent(site.sl.value), `${words.say("n_note", { n: format.count(site.sl.n) })} · ${words.window(board.config.window)}`);
    show("asa_s", format.seconds(site.asa_s));
    show("abandonment_rate", format.percent(site.abandonment.value));
    show("answer_rate", format.percent(site.answer_rate.value));
    show("callback", format.count(site.callback));
    show("silent_abandoned", format.count(site.silent_abandoned));
    for (const name of AGENTS) show(name, format.count(site.agents[name] ?? 0));
    // On a board of some queues there is no number of agents: one who serves two of them counts once, and nobody does so.
    this._values[AGENTS[0]].closest("dl").hidden = board.config.queues?.length > 0;
  }

  tick() {
    const { board, format } = this._show;
    const isStale = board.isStale(board.site) || board.partlyStale() !== null;
    setText(this._values.longest_wait, format.stopwatch(board.longestWait(board.site, isStale)));
    setAttribute(this.node, "data-tone", isStale ? "stale" : null);
  }

  /** Who waits where: calls and chats apart. */
  _byChannel() {
    const { board, format, words } = this._show;
    const sums = new Map();
    for (const tile of board.tiles.values()) sums.set(tile.channel, (sums.get(tile.channel) ?? 0) + tile.waiting);
    return sums.size < 2 ? "" : [...sums].sort().reverse().map(([channel, n]) => `${words.say(channel)} ${format.count(n)}`).join(" · ");
  }
}
