/**
 * Making and changing elements. Text of the server comes into the page through here alone, and as text:
 * nothing in this page parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";

// Strokes in a square of 24.
const ICONS = {
  alert: "M12 8.5v4.5M12 16.6v.1M10.4 4.3 2.9 17.2A1.9 1.9 0 0 0 4.5 20h15a1.9 1.9 0 0 0 1.6-2.8L13.6 4.3a1.9 1.9 0 0 0-3.2 0z",
  arrow: "M4 12h16M14 6l6 6-6 6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  chevron: "M6 9l6 6 6-6",
  clock: "M12 7v5.5l3.5 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
  cross: "M6 6l12 12M18 6 6 18",
  dot: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  gone: "M6 12h12",
  pause: "M9 6v12M15 6v12",
  play: "M8 5.5v13l10-6.5z",
  retry: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.4M20 4.5v5h-5",
  search: "M20 20l-4.5-4.5M17.5 10.5a7 7 0 1 1-14 0 7 7 0 0 1 14 0z",
  transit: "M3 7h11v9H3zM14 10.5h4l3 3V16h-7M7 18.5a2 2 0 1 0 .01 0M17.5 18.5a2 2 0 1 0 .01 0",
  upload: "M12 20V9M7 13.5l5-5 5 5M5 4h14",
};

/**
 * Make an element.
 *
 * @param {string} name with classes: "p.note.warn"
 * @param {Record<string, unknown>} attributes; `text` is its text, `on` its listeners by event
 * @param {...Node} children
 */
export function el(name, { text, on = {}, ...attributes } = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) setAttribute(element, key, value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/** A drawing of the set above; what it means stands beside it as a word. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(document.createElementNS(SVG, "path"));
  setIcon(drawing, name);
  return drawing;
}

/** Another drawing in the same place. */
export function setIcon(drawing, name) {
  setAttribute(drawing.firstChild, "d", ICONS[name]);
}

/** Change a text where it is another one: an untouched text costs no layout and keeps a selection. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it is another one; null takes it away, true is one without a value. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Show or hide. */
export function setShown(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** Make `elements` the children of `parent`, in this order, moving no more than needed. */
export function arrange(parent, elements) {
  const wanted = new Set(elements);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const element of elements) {
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
}

/** A text that appears only for ears. */
export function unseen(text) {
  return el("span.unseen", { text });
}
