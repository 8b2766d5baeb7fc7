/** The page with a secret: saving it to a file, and a question before it is left without having been stored. */

for (const button of document.querySelectorAll('button[data-download]')) {
  if (!(button instanceof HTMLButtonElement)) continue
  button.hidden = false
  button.addEventListener('click', () => save(button))
}

const stored = document.querySelector('input[data-stored]')
addEventListener('beforeunload', (event) => {
  if (stored instanceof HTMLInputElement && !stored.checked) event.preventDefault()
})

/** @param {HTMLButtonElement} button */
function save(button) {
  const { download = '', type = '', from = '', base64 } = button.dataset
  const text = document.getElementById(from)?.textContent ?? ''
  const content =
    base64 === undefined ? text : Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([content], { type }))
  link.download = download
  link.click()
  URL.revokeObjectURL(link.href)
}
