/** A long list of permissions: shows those that hold what is typed. What is ticked stays so, seen or not. */

for (const picker of document.querySelectorAll('.picker')) {
  const search = picker.querySelector('input[type="search"]')
  if (search instanceof HTMLInputElement) enable(picker, search)
}

/**
 * @param {Element} picker
 * @param {HTMLInputElement} search
 */
function enable(picker, search) {
  search.hidden = false
  search.addEventListener('input', () => narrow(picker, search.value.trim().toLowerCase()))
  // It is no field of the form: it must not send it.
  search.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') event.preventDefault()
  })
}

/**
 * @param {Element} picker
 * @param {string} text
 */
function narrow(picker, text) {
  for (const group of picker.querySelectorAll('.picker-group')) {
    const options = [...group.querySelectorAll('.option')]
    for (const option of options) {
      if (option instanceof HTMLElement) option.hidden = !option.textContent?.toLowerCase().includes(text)
    }
    if (group instanceof HTMLElement) group.hidden = options.every((option) => option.hasAttribute('hidden'))
  }
}
