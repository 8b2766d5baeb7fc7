import { type Content, type Html, html } from '../html.ts'

/** The beginning of every page: where it is, one title, one sentence that says what it is for, one primary action. */
export function pageHeader(header: {
  title: Content
  purpose: Content
  /** `linkButton`, or a form. */
  action?: Html | undefined
  /** What the page is a part of. */
  above?: { label: string; to: string } | undefined
}): Html {
  const { title, purpose, action, above } = header
  return html`<header class="page-header">
  <div class="page-header-words">
    ${above && html`<p class="above"><a href="${above.to}">${above.label}</a></p>`}
    <h1>${title}</h1>
    <p class="purpose">${purpose}</p>
  </div>
  ${action && html`<div class="page-header-action">${action}</div>`}
</header>`
}

/** A link that looks like the act that it leads to. */
export function linkButton(
  label: string,
  to: string,
  kind: 'primary' | 'plain' | 'danger' = 'primary',
): Html {
  return html`<a class="button ${kind}" href="${to}">${label}</a>`
}

/** A part of a page, with a heading of its own. */
export function section(title: Content, content: Content, options: { purpose?: Content } = {}): Html {
  return html`<section class="section">
  <h2>${title}</h2>
  ${options.purpose !== undefined && html`<p class="purpose">${options.purpose}</p>`}
  ${content}
</section>`
}
