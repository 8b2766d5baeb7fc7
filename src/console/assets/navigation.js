/** Where the sidebar is a bar that scrolls, the current place is in sight. */

const bar = document.querySelector('.navigation')
const current = bar?.querySelector('[aria-current]')
if (bar instanceof HTMLElement && current instanceof HTMLElement) {
  show(bar, current)
  addEventListener('resize', () => show(bar, current))
}

/**
 * Moves the bar alone: the page stays where somebody has scrolled it.
 * @param {HTMLElement} bar
 * @param {HTMLElement} current
 */
function show(bar, current) {
  const middle = current.getBoundingClientRect().left - bar.getBoundingClientRect().left + bar.scrollLeft
  bar.scrollLeft = middle - (bar.clientWidth - current.offsetWidth) / 2
}
