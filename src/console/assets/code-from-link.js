/** Moves the secret of a link from the address into the form, and sends it. The history does not keep it. */

takeCode()
// A link that is opened where this page is open already does not load it anew.
addEventListener('hashchange', takeCode)

function takeCode() {
  const form = document.querySelector('form[data-code-from-link]')
  const code = location.hash.slice(1)
  if (!(form instanceof HTMLFormElement) || code === '') return
  history.replaceState(null, '', location.pathname)
  const field = form.elements.namedItem('code')
  if (!(field instanceof HTMLInputElement)) return
  field.value = code
  form.requestSubmit()
}
