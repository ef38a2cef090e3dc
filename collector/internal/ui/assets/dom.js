// Builds elements. Text only ever enters a page as a text node or an attribute value, so no label can become markup.
import { at } from './url.js';

const SVG = 'http://www.w3.org/2000/svg';

/** el('a', {class: 'x', href: '/', onclick: f, style: {left: '1px'}}, 'text', child). null and false are left out. */
export function el(tag, attrs, ...children) {
  return fill(document.createElement(tag), attrs, children);
}

export function svg(tag, attrs, ...children) {
  return fill(document.createElementNS(SVG, tag), attrs, children);
}

function fill(node, attrs, children) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** A message that takes the place of content: what is the matter, and what to do. */
export function notice(title, ...lines) {
  return el('div', { class: 'notice', role: 'status' }, el('h1', {}, title), lines.map((l) => el('p', {}, l)));
}

/** cut shortens a text for display; the whole of it belongs into a title attribute. */
export function cut(text, limit = 120) {
  const chars = Array.from(text); // by code point, so that an emoji is not halved
  return chars.length <= limit ? text : chars.slice(0, limit - 1).join('') + '…';
}

/**
 * keepPlace notes the scroll position and the focus in a box and returns a function that brings them back after its content was drawn anew:
 * a refresh must not throw a reader out.
 */
export function keepPlace(box) {
  const controls = 'a[href], button, input, select, summary, [tabindex]';
  const scrolls = '.scroll, .legend, .bars, .lanes';
  const [top, left] = [box.querySelector(scrolls)?.scrollTop ?? 0, box.querySelector(scrolls)?.scrollLeft ?? 0];
  const focused = box.contains(document.activeElement) ? [...box.querySelectorAll(controls)].indexOf(document.activeElement) : -1;
  return () => {
    box.querySelector(scrolls)?.scrollTo({ top, left, behavior: 'instant' });
    if (focused >= 0) box.querySelectorAll(controls)[focused]?.focus({ preventScroll: true });
  };
}

/** A link may lead to http, https or a path of this collector, which becomes one a browser can follow; anything else gives null. */
export function safeURL(url) {
  try {
    const parsed = new URL(url, location.origin);
    if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return null;
    return /^\/(?!\/)/.test(url) ? at(url) : url;
  } catch (_) {
    return null;
  }
}

const icons = {
  expand: 'M9 2h5v5M14 2 9 7M7 14H2V9M2 14l5-5',
  query: 'M2 3h12M2 8h7M2 13h5M10.5 11.5l1.5 1.5 3-3.5',
  info: 'M8 7v4.5M8 4.4v.2M14.5 8a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0Z',
  refresh: 'M13.6 6.5A6 6 0 1 0 14 9M14 2.5v4h-4',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  sun: 'M8 4.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4ZM8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1',
  moon: 'M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3Z',
  warn: 'M8 2 1.5 13.5h13L8 2ZM8 6.5v3.2M8 11.6v.2',
  clock: 'M8 4.2V8l2.6 1.6M14.5 8a6.5 6.5 0 1 1-13 0 6.5 6.5 0 0 1 13 0Z',
  out: 'M6 3H3v10h10v-3M9 2.5h4.5V7M13 3 7.5 8.5',
  key: 'M9.6 9.4a4 4 0 1 0-3-3L1.5 11.5v3h3V13H6v-1.5h1.5l2.1-2.1ZM11 5v.1',
  keyboard: 'M1.5 4h13v8.5h-13ZM4 6.7h.1M6.7 6.7h.1M9.4 6.7h.1M12 6.7h.1M4.6 9.8h6.8',
  mute: 'M2 6v4h2.5L8 13V3L4.5 6H2ZM11 6l3.5 4M14.5 6 11 10',
  zoomout: 'M4.5 7h5M11 11l3.5 3.5M12 7A5 5 0 1 1 2 7a5 5 0 0 1 10 0Z',
};

/** A line icon; decorative, the control around it carries the name. */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: icons[name] }));
}
