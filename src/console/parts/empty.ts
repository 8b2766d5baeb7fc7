import { type Content, type Html, html } from '../html.ts'
import { type ApiRequest, curl } from './api.ts'
import { codeBlock } from './copy.ts'

/** What a list says that has nothing yet: what goes here, why, the action, and the same as a `curl` line. */
export function emptyState(options: {
  title: string
  text: Content
  action?: Html | undefined
  api?: { issuer: string; request: ApiRequest } | undefined
}): Html {
  const { title, text, action, api } = options
  return html`<div class="empty">
  <h2>${title}</h2>
  <p>${text}</p>
  ${action && html`<p>${action}</p>`}
  ${api && html`<p class="muted">Or over HTTP:</p>${codeBlock(curl(api.issuer, api.request), 'the request')}`}
</div>`
}
