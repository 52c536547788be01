// How are numbers and times written? By the language's rules (Intl), in the site's zone. Knows no words.

const NONE = "-";
const DAY_MS = 86_400_000;

export class Format {
  /** `zone`: IANA name, "" is the browser's; `dayStartsAt`: "HH:MM" at which the business day begins there. */
  constructor(lang, zone = "", dayStartsAt = "00:00") {
    const locale = lang === "ja" ? "ja-JP" : "en-GB";
    const timeZone = knownZone(zone);
    // Narrow units are Latin letters in Japanese, too: there the short ones are 秒 and 分.
    const unit = (name, digits) =>
      new Intl.NumberFormat(locale, {
        style: "unit", unit: name, unitDisplay: lang === "ja" ? "short" : "narrow",
        minimumFractionDigits: digits, maximumFractionDigits: digits,
      });
    this._amount = (unit, n) => unit.format(n).replace(/\s/g, "");
    this._count = new Intl.NumberFormat(locale);
    this._percent = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1 });
    this._decimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
    this._signed = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
    this._plainPercent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
    this._tenths = unit("second", 1);
    this._units = { second: unit("second", 0), minute: unit("minute", 0), hour: unit("hour", 0), day: unit("day", 0) };
    const times = { timeZone, hourCycle: "h23" };
    this._time = new Intl.DateTimeFormat(locale, { ...times, hour: "2-digit", minute: "2-digit" });
    this._exact = new Intl.DateTimeFormat(locale, { ...times, hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this._date = new Intl.DateTimeFormat(locale, { timeZone, day: "numeric", month: "short", weekday: "short" });
    this._parts = new Intl.DateTimeFormat("en-CA", { ...times, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
    this._utcDate = new Intl.DateTimeFormat(locale, { timeZone: "UTC", day: "numeric", month: "short", weekday: "short" });
    this._dayStartsAt = dayStartsAt;
  }

  count(n) {
    return n === null || n === undefined ? NONE : this._count.format(n);
  }

  /** One decimal, rounded down as everywhere in Queuelight: 79.96 % is not 80 %. */
  percent(value) {
    return value === null || value === undefined ? NONE : this._percent.format(Math.floor(value * 1000 + 1e-9) / 1000);
  }

  /** Something with one decimal that is no share: a lift, contacts a day. */
  decimal(value) {
    return value === null || value === undefined ? NONE : this._decimal.format(value);
  }

  /** A difference of shares, in points of a percent. */
  points(value) {
    return value === null || value === undefined ? NONE : this._signed.format(value * 100);
  }

  /** A promise such as 80 %, without decimals it does not have. */
  promise(value) {
    return this._plainPercent.format(value);
  }

  /** A mean or a limit in seconds. */
  seconds(s) {
    if (s === null || s === undefined) return NONE;
    if (s < 10 && !Number.isInteger(s)) return this._amount(this._tenths, s);
    return s < 100 ? this._amount(this._units.second, s) : this.stopwatch(s);
  }

  /** A wait that counts up: 0:07, 12:42, 1:02:03. */
  stopwatch(s) {
    if (s === null || s === undefined) return NONE;
    const whole = Math.max(0, Math.floor(s));
    const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const two = (n) => String(n).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
  }

  /** How old something is, in the largest unit that fits. */
  age(s) {
    if (s < 120) return this._amount(this._units.second, Math.max(0, Math.floor(s)));
    if (s < 7200) return this._amount(this._units.minute, Math.floor(s / 60));
    return s < 172_800 ? this._amount(this._units.hour, Math.floor(s / 3600)) : this._amount(this._units.day, Math.floor(s / 86_400));
  }

  time(ms) {
    return this._time.format(ms);
  }

  exactTime(ms) {
    return this._exact.format(ms);
  }

  date(ms) {
    return this._date.format(ms);
  }

  /** The date on which the business day of an instant began, if that is another than the calendar's; else "". */
  businessDate(ms) {
    const at = Object.fromEntries(this._parts.formatToParts(ms).map((part) => [part.type, part.value]));
    if (`${at.hour}:${at.minute}` >= this._dayStartsAt) return "";
    return this._utcDate.format(Date.UTC(at.year, at.month - 1, at.day) - DAY_MS);
  }
}

function knownZone(zone) {
  if (!zone) return undefined;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch {
    return undefined;
  }
}
