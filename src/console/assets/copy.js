/** Buttons that copy a value. They are hidden until this module knows that the browser can do it. */

const SAID_MILLISECONDS = 2000

if (navigator.clipboard !== undefined) {
  for (const button of document.querySelectorAll('button[data-copy]')) {
    if (button instanceof HTMLButtonElement) enable(button)
  }
}

/** @param {HTMLButtonElement} button */
function enable(button) {
  const label = button.querySelector('.hidden, .copy-words')
  const words = label?.textContent ?? ''
  button.hidden = false
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copy ?? '')
    button.dataset.copied = ''
    if (label !== null) label.textContent = 'Copied'
    setTimeout(() => {
      delete button.dataset.copied
      if (label !== null) label.textContent = words
    }, SAID_MILLISECONDS)
  })
}
