// How do the parts of the page meet? Frames to the board, the board to the view that was asked for.
// Knows no numbers and no looks.

import { Alerts } from "./alerts.js";
import { Board, stateWord } from "./board.js";
import { Connection } from "./connection.js";
import { Desk } from "./desk.js";
import { el, setText } from "./dom.js";
import { Format } from "./format.js";
import { hideWhenIdle, keepAwake, Tone } from "./kiosk.js";
import { Panel } from "./panel.js";
import { Surround } from "./surround.js";
import { Tips } from "./tips.js";
import { Wall } from "./wall.js";
import { Web } from "./web.js";
import { Words } from "./words.js";

const TICK_MS = 250;
const WORDS_AGAIN_MS = 3000;
const NARROW = matchMedia("(max-width: 640px)");
const BRIGHT = matchMedia("(prefers-color-scheme: light)");

const asked = new URLSearchParams(location.search);
const query = `board=${encodeURIComponent(asked.get("board") ?? "default")}`;
const root = document.documentElement;
const board = new Board();
const tone = new Tone();
const browserLang = navigator.languages.map((each) => each.slice(0, 2)).find((each) => each === "ja" || each === "en") ?? "en";

let shape = ""; // what the parts on the page were made for
let opened = null; // whether the stream was opened with the web site; null: not yet
let show, view, panel, surround, tips, alerts;

const KNOWN = { lang: ["ja", "en"], view: ["wall", "desk", "phone", "web"], theme: ["dark", "light", "auto"] };

/** What the address asks for; "" where that is nothing we know. ja-JP is ja. */
function wish(name) {
  const said = asked.get(name) ?? "";
  const value = name === "lang" ? said.slice(0, 2).toLowerCase() : said;
  return KNOWN[name].includes(value) ? value : "";
}

const choice = {
  lang: () => wish("lang") || board.config.lang || browserLang,
  view: () => wish("view") || (board.config.view === "web" ? "web" : NARROW.matches ? "phone" : board.config.view || "wall"),
  theme: () => {
    const wanted = wish("theme") || board.config.theme || "dark";
    return wanted === "auto" ? (BRIGHT.matches ? "light" : "dark") : wanted;
  },
};

/** Make everything anew where language, view, theme or calendar are others than before; the numbers stay. */
function build() {
  const words = show?.words.lang === choice.lang() ? show.words : new Words(choice.lang());
  const { zone, day_starts_at: dayStartsAt, sound, window } = board.config;
  const isReady = board.boot !== null && words.isSettled;
  const wanted = [isReady, words.isLoaded, words.lang, choice.view(), choice.theme(), zone, dayStartsAt, sound, window].join("|");
  if (wanted === shape) return;
  shape = wanted;
  Object.assign(root.dataset, { view: choice.view(), theme: choice.theme() });
  root.lang = words.lang;
  const isNew = words !== show?.words;
  show = { board, words, query, format: new Format(words.lang, zone, dayStartsAt),
    open: (key) => panel.open(key), acknowledge: (key) => panel.open(key, true) };
  panel ??= new Panel();
  panel.show = show;
  alerts ??= new Alerts(`api/v1/alerts?${query}`, (...parts) => panel.openList(...parts));
  alerts.show = show;
  tips ??= new Tips();
  tips.words = words;
  surround = new Surround(show);
  document.getElementById("tools").replaceChildren(...tools(words));
  document.getElementById("tools").setAttribute("aria-label", words.say("tools"));
  view?.close();
  view = isReady ? viewIn(document.getElementById("board")) : null;
  if (isNew) explain(words);
  // The web site comes only to those who look at it, and what they look at may be said by the board's settings.
  if (opened !== null && opened !== seesWeb()) queueMicrotask(() => connection.reopen());
}

function seesWeb() {
  return choice.view() === "web";
}

function viewIn(place) {
  const name = choice.view();
  const made = name === "web" ? new Web(place, show) : name === "desk" ? new Desk(place, show) : new Wall(place, show, name === "wall");
  made.update({ breached: [], recovered: [], reordered: true });
  return made;
}

/** Definitions come from the server; while it does not give them, measures go by their own names. */
async function explain(words) {
  await words.load();
  if (words !== show.words) return;
  build();
  render();
  if (!words.isLoaded) setTimeout(() => words === show.words && explain(words), WORDS_AGAIN_MS);
}

function render(change = { breached: [], recovered: [], reordered: false }) {
  view?.update(change);
  surround.update();
  panel.update();
  alerts.update();
}

function take(kind, frame) {
  const change = board.take(kind, frame);
  if (change === null) return false;
  build();
  render(change);
  if (board.health().state !== "stale") announce(change);
  return true;
}

/** Say it once: to ears, if they want to hear it, and to screen readers. */
function announce({ breached, recovered }) {
  const { words } = show;
  const said = (key, text) => words.say(text, { queue: board.tiles.get(key).queue, state: words.say(stateWord(board.tiles.get(key))) });
  const told = [...breached.map((key) => said(key, "said_breach")), ...recovered.map((key) => said(key, "said_recovered"))];
  if (told.length) setText(document.getElementById("say"), told.join(", "));
  if (breached.length) tone.play();
}

function tools(words) {
  const link = (name, value, text, lang = null) => {
    const address = new URLSearchParams(asked);
    address.set(name, value);
    return el("a", { href: `?${address}`, lang, "aria-current": choice[name]() === value ? "true" : null }, text);
  };
  const sound = el("button", { type: "button", "aria-pressed": String(tone.isOn), click: () => {
    sound.setAttribute("aria-pressed", String(tone.toggle()));
    setText(sound, words.say(tone.isOn ? "sound_on" : "sound"));
  } }, words.say(tone.isOn ? "sound_on" : "sound"));
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
  return [
    ...KNOWN.view.map((name) => link("view", name, words.say(name))),
    link("lang", "ja", "日本語", "ja"), link("lang", "en", "English", "en"),
    ...["dark", "light"].map((name) => link("theme", name, words.say(name))),
    board.config.sound ? sound : null,
    el("button", { type: "button", click: full }, words.say("full")),
    el("button", { type: "button", "aria-label": words.say("meaning"), click: () => panel.openMeanings() }, "?"),
  ].filter(Boolean);
}

function tick() {
  view?.tick();
  surround.tick();
  panel.tick();
}

const REFUSALS = { 401: "access", 403: "access", 404: "board", 421: "host", 429: "crowded", 503: "busy" };
const stream = () => `api/v1/stream?${query}${(opened = seesWeb()) ? "&web=1" : ""}`;
const connection = new Connection(stream, {
  take,
  refused: (status) => (board.refusal = REFUSALS[status] ?? null),
  slept: () => (board.hasSlept = true),
});

build();
document.getElementById("board").replaceChildren(el("p", { class: "notice" }, show.words.say("waiting_for_first")));
render();
setInterval(tick, TICK_MS);
for (const media of [NARROW, BRIGHT]) media.addEventListener("change", () => { build(); render(); });
document.addEventListener("visibilitychange", tick);
hideWhenIdle(document.body);
keepAwake();
connection.start();
alerts.start();
