// How do a trend and a level look? Small drawings that are updated in place. Knows no words.

import { drawing, setAttribute } from "./dom.js";

const LEAST_FULL = 4; // a single contact is no full height

/** The queue length of the last 30 minutes as a line. */
export class Trend {
  constructor() {
    this.node = drawing("trend");
    [this._area, this._curve, this._dot] = this.node.children;
  }

  update(counts, label) {
    const most = Math.max(LEAST_FULL, ...counts);
    const step = 29 / Math.max(1, counts.length - 1);
    const points = counts.map((n, at) => `${(at * step).toFixed(2)} ${(9.3 - (n / most) * 8.6).toFixed(2)}`);
    const line = points.length ? `M${points.join("L")}` : "";
    setAttribute(this._curve, "d", line);
    setAttribute(this._area, "d", line && `${line}L29 10L0 10Z`);
    setAttribute(this._dot, "d", points.length ? `M${points.at(-1)}h0` : "");
    setAttribute(this.node, "aria-label", label);
  }
}

/** A lift with its 95 % interval on a logarithmic scale; the upright line is 1: no more contacts than by chance. */
export class LiftBar {
  constructor() {
    this.node = drawing("lift");
    [, this._spread, this._value, this._one] = this.node.children;
  }

  /** `found`: {value, low, high} or null; `most`: what the right end stands for. */
  update(found, most, tone, label) {
    const least = 1 / 4;
    const at = (lift) => (100 * Math.log(Math.min(most, Math.max(least, lift)) / least)) / Math.log(most / least);
    setAttribute(this.node, "data-tone", tone);
    setAttribute(this.node, "aria-label", label || null);
    setAttribute(this.node, "aria-hidden", label ? null : "true");
    setAttribute(this._spread, "d", found ? `M${at(found.low).toFixed(1)} 5H${at(found.high).toFixed(1)}` : "");
    setAttribute(this._value, "d", found ? `M${at(found.value).toFixed(1)} 1V9` : "");
    setAttribute(this._one, "d", `M${at(1).toFixed(1)} 0V10`);
  }
}

/** A rate with its 95 % interval, from 0 to 100 %. */
export class RateBar {
  constructor() {
    this.node = drawing("rate");
    [, this._spread, this._value] = this.node.children;
  }

  update(found, label) {
    setAttribute(this.node, "aria-label", label || null);
    setAttribute(this.node, "aria-hidden", label ? null : "true");
    setAttribute(this._spread, "d", found ? `M${(found.low * 100).toFixed(1)} 5H${(found.high * 100).toFixed(1)}` : "");
    setAttribute(this._value, "d", found ? `M${(found.value * 100).toFixed(1)} 1V9` : "");
  }
}

/** A share as a bar: where the target is, and how far chance may have moved the share (95 %). */
export class LevelBar {
  constructor() {
    this.node = drawing("level");
    [, this._fill, this._spread, this._target] = this.node.children;
  }

  update(level, target, tone) {
    setAttribute(this.node, "data-tone", tone || null);
    setAttribute(this._fill, "width", ((level.value ?? 0) * 100).toFixed(1));
    const known = level.low !== null && level.high !== null;
    setAttribute(this._spread, "d", known ? `M${level.low * 100} 5H${level.high * 100}` : "");
    setAttribute(this._target, "d", `M${target * 100} 0V10`);
  }
}
