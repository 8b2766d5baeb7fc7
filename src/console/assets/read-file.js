/** Lets a file be chosen instead of pasted: it is read here, into the field, and sent with the form. */

for (const wrapper of document.querySelectorAll('[data-read-file]')) {
  const input = wrapper.querySelector('input')
  const field = document.getElementById(
    wrapper instanceof HTMLElement ? (wrapper.dataset.readFile ?? '') : '',
  )
  if (!(wrapper instanceof HTMLElement && field instanceof HTMLTextAreaElement) || input === null) continue
  wrapper.hidden = false
  input.addEventListener('change', async () => {
    const file = input.files?.[0]
    if (file !== undefined) field.value = await file.text()
  })
}
