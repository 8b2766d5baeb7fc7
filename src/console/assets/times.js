/** Exact times, on hover and focus, in the reader's own time zone besides UTC. */

const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })

for (const element of document.querySelectorAll('time[data-exact]')) {
  if (element instanceof HTMLTimeElement) {
    element.dataset.exact = `${local.format(new Date(element.dateTime))} · ${element.dataset.exact}`
  }
}
