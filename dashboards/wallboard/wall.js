// Which tiles are on the screen? The neediest first, page after page where they do not fit; on a phone all, in one column.
// Knows no numbers.

import { el, setChildren, setText } from "./dom.js";
import { isIdle, STILL } from "./kiosk.js";
import { fitNames, Tile } from "./tile.js";

const MOST = 12; // more tiles on a page cannot be read at ten metres
const SHAPE = 1.75; // width to height at which a tile is read best
const HOLES = 0.5; // what an empty place costs
const MOVE_MS = 450;
const REORDER_MS = 2000; // tiles that change places with every frame cannot be read; a breach does not wait
const PAUSE_MS = 120_000; // whoever paused and left does not want it for ever

/** Columns and rows whose tiles are largest in a good shape, with few holes. */
export function grid(tiles, width, height) {
  let best = { columns: 1, rows: Math.max(1, tiles), worth: -1 };
  for (let columns = 1; columns <= tiles; columns++) {
    const rows = Math.ceil(tiles / columns);
    const size = Math.min(width / columns / SHAPE, height / rows);
    const worth = size * (1 - (HOLES * (columns * rows - tiles)) / (columns * rows));
    if (worth > best.worth) best = { columns, rows, worth };
  }
  return best;
}

export class Wall {
  /** `isPaged`: true on a wall, where everything is in sight or on another page. */
  constructor(root, show, isPaged) {
    this._root = root;
    this._show = show;
    this._isPaged = isPaged;
    this._tiles = new Map();
    this._order = [];
    this._page = 0;
    this._pausedAt = null;
    this._isUnordered = false;
    this._orderedAt = -Infinity;
    this._turnedAt = performance.now();
    this._grid = el("div", { class: "tiles" });
    this._nav = this._controls();
    this._empty = el("p", { class: "notice" }, show.words.say("no_queues"));
    root.replaceChildren(this._grid, this._nav, this._empty);
    this._resized = new ResizeObserver(() => this._place());
    this._resized.observe(this._grid);
    this._keys = (event) => this._key(event);
    document.addEventListener("keydown", this._keys);
  }

  close() {
    this._resized.disconnect();
    document.removeEventListener("keydown", this._keys);
  }

  update(change) {
    this._isUnordered ||= change.reordered;
    const { tiles } = this._show.board;
    const isOther = tiles.size !== this._order.length || this._order.some((key) => !tiles.has(key));
    if (isOther || change.breached.length || change.recovered.length) this._reorder(change.breached.length > 0);
    for (const tile of this._shown) tile.update();
    for (const key of change.breached) this._tiles.get(key)?.flash();
  }

  tick() {
    for (const tile of this._shown) tile.tick();
    if (this._pausedAt !== null && performance.now() - this._pausedAt > PAUSE_MS && isIdle()) this._pause();
    if (this._isUnordered && performance.now() - this._orderedAt > REORDER_MS && !this._isBusy()) this._reorder(false);
    if (performance.now() - this._turnedAt < (this._show.board.config.rotate_s ?? 15) * 1000) return;
    this._turnedAt = performance.now();
    if (this._isBusy()) return;
    this._reorder(false);
    this._turn(1);
  }

  get _shown() {
    return this._pageKeys().map((key) => this._tiles.get(key));
  }

  get _pages() {
    return Math.max(1, Math.ceil(this._order.length / this._perPage()));
  }

  /** Pages of about the same size: 13 tiles are 7 and 6, not 12 and 1. */
  _perPage() {
    const all = this._order.length;
    if (!this._isPaged) return Math.max(1, all);
    const most = this._show.board.config.per_page || MOST;
    return Math.max(1, Math.ceil(all / Math.ceil(all / most || 1)));
  }

  _pageKeys() {
    const size = this._perPage();
    return this._order.slice(this._page * size, (this._page + 1) * size);
  }

  _reorder(toTop) {
    this._isUnordered = false;
    this._orderedAt = performance.now();
    this._order = this._show.board.byNeed();
    const known = new Set(this._order);
    for (const key of this._tiles.keys()) if (!known.has(key)) this._tiles.delete(key);
    for (const key of this._order) if (!this._tiles.has(key)) this._tiles.set(key, new Tile(key, this._show));
    if (toTop && this._pausedAt === null) {
      this._page = 0;
      this._turnedAt = performance.now();
    }
    this._page = Math.min(this._page, this._pages - 1);
    this._place();
  }

  _turn(by) {
    this._page = (this._page + by + this._pages) % this._pages;
    this._turnedAt = performance.now();
    this._place();
  }

  _place() {
    const shown = this._shown;
    const before = new Map(shown.filter((tile) => tile.node.isConnected).map((tile) => [tile, tile.node.getBoundingClientRect()]));
    const { columns, rows } = grid(this._isPaged ? Math.max(shown.length, this._page ? this._perPage() : 0) : 1, this._grid.clientWidth, this._grid.clientHeight);
    this._grid.style.setProperty("--columns", columns);
    this._grid.style.setProperty("--rows", rows);
    setChildren(this._grid, shown.map((tile) => tile.node));
    for (const tile of shown) tile.update();
    if (this._isPaged) fitNames(shown); // in a column names have all the room they need
    this._move(before);
    this._nav.hidden = this._pages < 2;
    this._empty.hidden = this._order.length > 0;
    setText(this._where, this._show.words.say("page", { page: this._page + 1, pages: this._pages }));
  }

  /** Tiles glide to their new places, so that the eye can follow. */
  _move(before) {
    if (STILL.matches) return;
    for (const [tile, from] of before) {
      const to = tile.node.getBoundingClientRect();
      const [x, y] = [from.left - to.left, from.top - to.top];
      if (!x && !y) continue;
      tile.node.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: MOVE_MS, easing: "ease" });
    }
  }

  /** Nobody's tile is taken away while they use it; a focus that somebody left behind is no use. */
  _isBusy() {
    const isUsed = !isIdle() && this._root.querySelector(":focus-visible") !== null;
    return this._pausedAt !== null || isUsed || document.querySelector("dialog[open]") !== null;
  }

  _pause() {
    const isPaused = this._pausedAt === null;
    this._pausedAt = isPaused ? performance.now() : null;
    this._pauseButton.setAttribute("aria-label", this._show.words.say(isPaused ? "resume" : "pause"));
    setText(this._pauseButton, isPaused ? "▶" : "❚❚");
  }

  _controls() {
    const { words } = this._show;
    const button = (name, shape, act) => el("button", { type: "button", "aria-label": words.say(name), click: act }, shape);
    this._where = el("span", { class: "where" });
    this._pauseButton = button("pause", "❚❚", () => this._pause());
    return el("nav", { class: "pages", "aria-label": words.say("pages"), hidden: true },
      button("previous", "‹", () => this._turn(-1)), this._where, button("next", "›", () => this._turn(1)), this._pauseButton);
  }

  _key(event) {
    if (event.target.closest("input, select, dialog") || this._pages < 2) return;
    if (event.key === "ArrowRight") this._turn(1);
    if (event.key === "ArrowLeft") this._turn(-1);
  }
}
