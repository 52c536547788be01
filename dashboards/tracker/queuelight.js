// What does a visitor do here? Told with consent only (docs/tracker.md); knows no texts, values, queries.
(() => {
  const DEAD_MS = 2500;
  const BEAT_MS = 10000;
  const FLUSH_MS = 5000;
  const FLUSH_AT = 10;
  const BATCH = 50;
  const MOST_EVENTS = 500;
  const MOST_ERRORS = 20;
  const VISITOR = "queuelight.visitor";
  const UNSENT = "queuelight.unsent.";
  const LINK = "a,[role=link]";
  const BUTTON = "button,summary,[role=button],[type=submit],[type=button],[type=image]";
  const STEPPER =
    "[data-queuelight-rage=off],[role=spinbutton],[role=slider],[type=number],[type=range],[type^=date],[type=time]," +
    "[type=month],[type=week],[class*=stepper],[class*=pagination],[class*=carousel],[class*=calendar]";
  const STEP = /^([^\p{L}\d×✕]{1,2}|.{0,9}\b(next|prev|plus|minus|increase|decrease).{0,9})$|^[次前]/iu;

  const { site, collect, searchParam, hashRoutes } = document.currentScript.dataset;
  const { fetch } = window;
  const waiting = new Map(); // decided later: how to settle it, and its event
  const known = new WeakSet(); // failures, requests, fields
  let visitor, identity, stop, load, view, url, term, activeAt, beat, timer, busy, touched, told, clickedAt, kept;
  let count = 0;
  let failures = 0;
  let queue = []; // not acknowledged
  let held = []; // sent in leaving: again if the next fails

  const quietly = (action) => (...words) => {
    try {
      return action(...words);
    } catch {}
  };
  const on = (types, listener) => {
    for (const type of types.split(" "))
      addEventListener(type, quietly(listener), { capture: true, signal: stop.signal });
  };
  const random = () =>
    btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
      .replace(/\W/g, (sign) => "-_"["+/".indexOf(sign)] || "");
  const text = (value, most = 200) => value && `${value}`.slice(0, most).replace(/\p{Cs}/gu, "");
  const masked = (value) => text(value && `${value}`.replace(/\S*@\S*|\d{5,}/g, "*"), 100);
  const counted = (value, hits = parseInt(value)) => (hits >= 0 ? Math.min(hits, 1e9) : null);
  const nameOf = (element) => masked(element && (element.getAttribute("name") || element.getAttribute("id")));
  const route = () => (hashRoutes != null && /^#!?(\/[^#]*)/.exec(location.hash)?.[1]) || "";
  const here = () => {
    const path = location.pathname;
    return (location.origin + (route() ? path.replace(/\/$/, "") + route().split("?")[0] : path)).slice(0, 2000);
  };

  const cookie = (value, seconds) => {
    document.cookie = `${VISITOR}=${value};path=/;max-age=${seconds};samesite=lax`;
  };
  const valid = (id) => (/^[\w-]{22}$/.test(id) ? id : random());
  const remembered = () => {
    try {
      return (kept[VISITOR] = valid(kept[VISITOR]));
    } catch {
      kept = null;
      const id = valid(document.cookie.match(VISITOR + "=([^;]*)")?.[1]);
      cookie(id, 3e7);
      return id;
    }
  };
  const endedElsewhere = () => kept && kept[VISITOR] != visitor;
  const save = quietly(() => {
    if (queue.length + held.length) kept[UNSENT + load] = JSON.stringify([queue, held]);
    else delete kept[UNSENT + load];
  });
  const takeOver = quietly((name) => {
    if (!name.startsWith(UNSENT)) return;
    const both = JSON.parse(kept[name]);
    delete kept[name];
    queue.push(...both[0]);
    held.push(...both[1]);
  });

  const packed = (events) => JSON.stringify({ site, visitor, sent: Date.now(), events });
  // No cookie, no query in a Referer.
  const post = (body) =>
    fetch(collect, {
      method: "POST",
      body,
      credentials: "omit",
      referrerPolicy: "origin",
      keepalive: body.length < 2e4,
      signal: stop.signal,
    });
  const flush = async () => {
    clearTimeout(timer);
    timer = 0;
    if (endedElsewhere()) return halt();
    if (busy || !queue.length) return;
    const { signal } = stop;
    const batch = (busy = queue.slice(0, BATCH));
    const answer = await post(packed(batch)).catch(() => {});
    if (signal.aborted) return;
    busy = null;
    if (!answer || answer.status == 429 || answer.status > 499) {
      queue = held.concat(queue).slice(-MOST_EVENTS);
      const asked = 1000 * answer?.headers.get("retry-after") || 0;
      const pauseMs = Math.min(Math.max(asked, 1000 * 2 ** failures++), 6e5);
      timer = setTimeout(flush, Math.floor(pauseMs * (1 + Math.random() / 2)));
    } else {
      failures = 0;
      queue = queue.filter((each) => !batch.includes(each));
      flush();
    }
    held = [];
    save();
  };
  const add = (event) => {
    if (!visitor) return;
    if (queue.push(event) > MOST_EVENTS) queue.splice(Math.max(0, queue.findIndex((each) => each.type == "ping")), 1);
    if (busy) return;
    if (queue.length >= FLUSH_AT && !failures) flush();
    else timer ||= setTimeout(flush, FLUSH_MS);
  };
  const settleAll = () => waiting.forEach((_, settle) => settle(null));
  const hurry = () => {
    settleAll();
    if (endedElsewhere()) return halt();
    const part = queue.filter((each) => !busy?.includes(each)).slice(0, BATCH);
    if (part.length && !failures && navigator.onLine) {
      if ("keepalive" in Request.prototype) post(packed(part)).catch(() => {});
      else navigator.sendBeacon(collect, packed(part));
      held.push(...part);
      queue = queue.filter((each) => !part.includes(each));
    }
    save();
  };

  const happened = (type, facts) => ({ type, id: load + count++, at: Date.now(), view, url, ...facts });
  const record = (type, facts) => view && add(happened(type, facts));
  const later = (event, decide, causes) => {
    const settle = (dead) => {
      clearTimeout(due);
      waiting.delete(settle);
      if (!waiting.size) changes.disconnect();
      decide(dead);
      add(event);
    };
    const due = setTimeout(settle, DEAD_MS);
    waiting.set(settle, { event, causes });
  };
  const answered = (withinMs) => {
    for (const [settle, { event, causes }] of waiting) if (causes && !(Date.now() - event.at > withinMs)) settle(false);
  };
  const changes = new MutationObserver(() => answered());

  const see = (referrer) => {
    view = random();
    url = here();
    term = activeAt = 0;
    told = {};
    record("view", { referrer });
    search();
    clearInterval(beat);
    beat = setInterval(() => {
      if (!document.hidden && Date.now() - activeAt < BEAT_MS * 1.5) record("ping");
      activeAt = 0;
    }, BEAT_MS);
  };
  const leave = () => {
    settleAll();
    record("leave");
    view = 0;
  };
  const moved = () => {
    if (!view) return;
    if (here() == url) return search();
    answered();
    leave();
    see(url);
  };
  const search = () => {
    const found = searchParam && new URLSearchParams(location.search || route().split("?")[1]).get(searchParam);
    if (found && found != term) {
      const event = happened("search", { term: masked(found) });
      later(event, () => {
        event.hits = counted(document.querySelector("[data-queuelight-hits]")?.dataset.queuelightHits);
      });
    }
    term = found;
  };

  const clicked = (event) => {
    const target = event.composedPath()[0];
    // Not by scripts, keys or labels.
    if (!event.isTrusted || !event.detail || (target.labels?.length && event.timeStamp - clickedAt < 5)) return;
    clickedAt = event.timeStamp;
    const thing = target.closest(`${LINK},${BUTTON},input,select,textarea,label,[contenteditable]`);
    const kind = thing
      ? thing.matches(LINK) ? "link" : thing.matches(BUTTON) ? "button" : "input"
      : [...target.childNodes].some((each) => each.data?.trim()) ? "text" : "other";
    const reacts = thing ? kind != "input" : getComputedStyle(target).cursor == "pointer";
    const { textContent, value, title, ariaLabel } = thing || target;
    const exempt =
      !!target.closest(STEPPER) ||
      (reacts
        ? [textContent, value, title, ariaLabel].some((each) => STEP.test(each?.trim?.()))
        : thing ? event.detail > 1 : !getSelection().isCollapsed);
    const seen = happened("click", { x: Math.round(event.pageX), y: Math.round(event.pageY), target: kind, exempt });
    // Changes in shadow trees and pictures go unseen.
    if (!reacts || target.getRootNode() != document || /-|canvas|video/.test(target.localName)) return add(seen);
    const causes = /^(?!#|javascript)/.test(thing?.getAttribute("href") ?? "#") ? [event] : [];
    later(seen, (dead = causes.every((each) => each.defaultPrevented)) => (seen.dead = dead), causes);
    changes.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  };

  const fail = (kind, facts, type = "error") => {
    if (!view) return;
    told[kind] = (told[kind] || 0) + 1;
    if (told[kind] <= MOST_ERRORS) record(type, { kind, ...facts });
  };
  const formFailed = (kind, element) => {
    const field = nameOf(element);
    if (Date.now() - told[kind + field] < 1000) return;
    told[kind + field] = Date.now();
    fail(kind, { field, form: nameOf(element.closest("form")) }, "form");
  };
  const fields = new MutationObserver((changed) => {
    for (const { target, oldValue } of changed)
      if (oldValue != "true" && target.ariaInvalid == "true") formFailed("error", target);
  });

  const wrap = () => {
    for (const name of ["pushState", "replaceState"]) {
      const native = history[name];
      history[name] = function (...words) {
        native.apply(this, words);
        quietly(moved)();
      };
    }
    const request = ({ status }) => status > 399 && fail("network", { status });
    const native = window.fetch;
    window.fetch = function (...words) {
      return native.apply(this, words).then(
        (answer) => {
          request(answer);
          return answer;
        },
        (error) => {
          if (error instanceof TypeError) {
            fail("network");
            known.add(error);
          }
          throw error;
        },
      );
    };
    const { send } = XMLHttpRequest.prototype;
    XMLHttpRequest.prototype.send = function (...words) {
      if (!known.has(this)) {
        this.addEventListener("load", () => request(this));
        this.addEventListener("error", () => fail("network"));
        this.addEventListener("timeout", () => fail("network"));
      }
      known.add(this);
      return send.apply(this, words);
    };
  };

  const start = () => {
    if (!load) wrap();
    stop = new AbortController();
    visitor = remembered();
    load = random();
    Object.keys(kept || {}).forEach(takeOver);
    const [from] = document.referrer.split(/[?#]/);
    see(from.startsWith(location.origin + "/") ? from.slice(0, 2000) : null);
    if (identity) record("identify", identity);

    on("popstate hashchange", moved);
    on("pagehide", () => {
      leave();
      hurry();
    });
    on("pageshow", (event) => event.persisted && see());
    on("visibilitychange", () => document.hidden && hurry());
    on("online", () => {
      failures = 0;
      flush();
    });
    on("pointerdown pointermove keydown scroll", () => (activeAt = Date.now()));

    on("click", clicked);
    on("scroll focus blur invalid reset", () => answered(100));
    on("selectionchange", () => getSelection().isCollapsed || answered(100));
    on("submit", (event) => waiting.forEach(({ causes }) => causes?.push(event)));

    on("error", ({ target, message }) => {
      if (/^(img|script|link)$/.test(target.localName)) fail("resource");
      else if (target == window && !/ResizeObserver/.test(message)) fail("script");
    });
    on("unhandledrejection", ({ reason }) => reason?.name != "AbortError" && !known.has(reason) && fail("script"));

    on("invalid", ({ target }) => formFailed("error", target));
    fields.observe(document, { subtree: true, attributeFilter: ["aria-invalid"], attributeOldValue: true });
    on("input", ({ target, isTrusted }) => {
      if (!isTrusted || touched == target || /box|radio|range|color|file/.test(target.type)) return;
      touched = target;
      if (known.has(target)) formFailed("reentry", target);
    });
    on("focusout", () => {
      if (touched) known.add(touched);
      touched = 0;
    });
  };
  const halt = () => {
    stop.abort();
    fields.disconnect();
    changes.disconnect();
    clearInterval(beat);
    clearTimeout(timer);
    visitor = view = busy = timer = failures = null;
    queue = [];
    held = [];
  };

  const api = {
    consent(given) {
      if (!visitor) kept = quietly(() => localStorage)();
      if (given && navigator.doNotTrack != 1 && !navigator.globalPrivacyControl) visitor || start();
      else {
        visitor && halt();
        cookie("", 0);
        for (const name of Object.keys(kept || {})) if (/^queuelight\./.test(name)) delete kept[name];
      }
      return !!visitor;
    },
    identify(customer, signature) {
      identity = { customer: text(customer), signature: text(signature, 128) };
      record("identify", identity);
    },
    intervention(what, kind, flag) {
      if (/^(shown|accepted|declined)$/.test(what) && kind) record("intervention", { what, kind: text(kind), flag: text(flag) });
    },
    search(hits, words) {
      record("search", { hits: counted(hits), term: masked(words) });
    },
    push: ([name, ...words]) => api[name](...words),
  };
  const before = window.queuelight;
  if (before?.consent) return;
  window.queuelight = api;
  before?.forEach(api.push);
})();
