// What makes a browser a screen on a wall? No pointer, no sleep, a tone for those who want it. Knows no numbers.

const IDLE_MS = 3000;

/** Hide pointer and tools when nobody has moved or typed for a while. */
export function hideWhenIdle(body) {
  let timer = 0;
  const awake = () => {
    body.removeAttribute("data-idle");
    clearTimeout(timer);
    timer = setTimeout(() => body.setAttribute("data-idle", ""), IDLE_MS);
  };
  for (const kind of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(kind, awake, { passive: true });
  awake();
}

/** Matches where people asked for less motion. */
export const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** True when nobody has moved or typed for a while. */
export const isIdle = () => document.body.hasAttribute("data-idle");

/** Keep the screen on; browsers take the lock away with the tab and allow it on secure addresses only. */
export function keepAwake() {
  const ask = async () => {
    if (document.hidden || !navigator.wakeLock) return;
    try {
      await navigator.wakeLock.request("screen");
    } catch {
      // Refused, for example to save a battery: the board works without.
    }
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}

/** Two soft notes at a breach. Silent until somebody has clicked, as browsers demand. */
export class Tone {
  constructor() {
    this._audio = null;
  }

  get isOn() {
    return this._audio !== null;
  }

  toggle() {
    if (this._audio) {
      this._audio.close();
      this._audio = null;
    } else {
      this._audio = new AudioContext();
      this.play();
    }
    return this.isOn;
  }

  play() {
    if (!this._audio) return;
    [523.25, 659.25].forEach((pitch, at) => {
      const [from, source, volume] = [this._audio.currentTime + at * 0.22, this._audio.createOscillator(), this._audio.createGain()];
      source.frequency.value = pitch;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.2, from + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.5);
      source.connect(volume).connect(this._audio.destination);
      source.start(from);
      source.stop(from + 0.55);
    });
  }
}
