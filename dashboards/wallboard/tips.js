// What does this word mean? A measure's definition beside its name, by pointer and by keyboard. Knows no values.

import { el } from "./dom.js";

const GAP = 8;

export class Tips {
  constructor() {
    this.words = null;
    this._tip = document.getElementById("tip");
    this._owner = null;
    document.addEventListener("pointerover", (event) => this._over(event.target));
    document.addEventListener("focusin", (event) => this._over(event.target));
    document.addEventListener("focusout", () => this._hide());
    document.addEventListener("click", (event) => this._over(event.target)); // a finger neither hovers nor focuses
    document.addEventListener("keydown", (event) => event.key === "Escape" && this._hide());
    addEventListener("scroll", () => this._hide(), { capture: true, passive: true });
  }

  _over(target) {
    if (!(target instanceof Element) || this._tip.contains(target)) return;
    const owner = target.closest("[data-term]");
    if (owner === this._owner) return;
    const found = owner && this.words.definition(owner.dataset.term);
    if (found) this._show(owner, found);
    else this._hide();
  }

  _show(owner, found) {
    this._hide();
    this._owner = owner;
    // A dialog is above everything else on the page: its tips must be inside it.
    (owner.closest("dialog") ?? document.body).append(this._tip);
    this._tip.replaceChildren(...explained(found, this.words));
    this._tip.hidden = false;
    owner.setAttribute("aria-describedby", "tip");
    const [at, size] = [owner.getBoundingClientRect(), this._tip.getBoundingClientRect()];
    const left = Math.max(GAP, Math.min(at.left, innerWidth - size.width - GAP));
    const below = at.bottom + size.height + GAP < innerHeight;
    this._tip.style.left = `${left}px`;
    this._tip.style.top = `${below ? at.bottom + 4 : Math.max(GAP, at.top - size.height - 4)}px`;
  }

  _hide() {
    this._owner?.removeAttribute("aria-describedby");
    this._owner = null;
    this._tip.hidden = true;
  }
}

/** A definition as elements: name, sentence, formula. */
export function explained(found, words) {
  return [el("b", {}, found.label), el("span", {}, found.text),
    found.formula ? el("code", {}, words.say("definition", { formula: found.formula })) : null].filter(Boolean);
}
