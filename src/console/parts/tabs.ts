import { type Html, html } from '../html.ts'

/** Pages of one object, as links: each tab is a page with an address of its own. */
export function tabs(
  label: string,
  list: readonly { label: string; to: string; isCurrent: boolean }[],
): Html {
  return html`<nav class="tabs" aria-label="${label}"><ul>${list.map(
    ({ label, to, isCurrent }) =>
      html`<li><a href="${to}"${isCurrent && html` aria-current="page"`}>${label}</a></li>`,
  )}</ul></nav>`
}
