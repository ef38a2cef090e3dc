// Opens a small box under a button: one at a time, closed by Escape, by a click elsewhere, or when the focus leaves it.
import { el } from './dom.js';

let open = null;

/** popover wires button to a box that build(box, close) fills each time it opens. */
export function popover(button, build, { label, align = 'left' } = {}) {
  button.setAttribute('aria-haspopup', 'dialog');
  button.setAttribute('aria-expanded', 'false');
  button.addEventListener('click', () => (open?.button === button ? close() : show()));

  function show() {
    close();
    const box = el('div', { class: `popover ${align}`, role: 'dialog', 'aria-label': label ?? button.textContent });
    build(box, close);
    button.after(box);
    button.setAttribute('aria-expanded', 'true');
    open = { button, box };
    keepInside(box);
    (box.querySelector('[autofocus]') ?? box.querySelector('input,button,a'))?.focus();
    box.addEventListener('focusout', (e) => { if (e.relatedTarget && !box.contains(e.relatedTarget) && e.relatedTarget !== button) close(false); });
  }
  return close;
}

function close(refocus = true) {
  if (!open) return;
  const { button, box } = open;
  open = null;
  const had = box.contains(document.activeElement);
  box.remove();
  button.setAttribute('aria-expanded', 'false');
  if (had && refocus) button.focus();
}

function keepInside(box) {
  const over = box.getBoundingClientRect().right - document.documentElement.clientWidth + 8;
  if (over > 0) box.style.transform = `translateX(${-over}px)`;
  const under = box.getBoundingClientRect().left - 8;
  if (under < 0) box.style.transform = `translateX(${-under - Math.max(0, over)}px)`;
}

document.addEventListener('pointerdown', (e) => {
  if (open && !open.box.contains(e.target) && !open.button.contains(e.target)) close(false);
});
document.addEventListener('keydown', (e) => {
  if (e.key === 'Escape' && open) {
    e.preventDefault();
    close();
  }
});
