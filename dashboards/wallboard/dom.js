// How does text become elements? Only as text: nothing here can be taken for markup. Knows no numbers.

/** An element with attributes (functions become listeners) and children (strings become text). */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A fresh copy of a drawing in the page's templates. */
export function drawing(name) {
  return document.getElementById(name).content.firstElementChild.cloneNode(true);
}

/** Text that is written only when it differs: an untouched node costs no layout, and no screen reader hears it. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The same for an attribute; null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Put children into this order, moving as few as possible; others leave. Who is moved keeps the focus. */
export function setChildren(parent, wanted) {
  const focused = document.activeElement;
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** A measure's name that explains itself; with `stop` a keyboard reaches it. */
export function term(words, name, { short = true, stop = false, text = "" } = {}) {
  const shown = text || words.label(name, short);
  return stop
    ? el("button", { type: "button", class: "term", "data-term": name }, shown)
    : el("span", { class: "term", "data-term": name }, shown);
}
