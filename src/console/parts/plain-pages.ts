import { html } from '../html.ts'
import type { Explanation } from '../refusals.ts'
import type { Page } from '../visit.ts'

/** What somebody sees instead of the page that they asked for. */
export function problemPage({ title, text }: Explanation, root: string, requestId: string): Page {
  return {
    title,
    content: html`<div class="problem">
  <h1>${title}</h1>
  <p>${text}</p>
  <p class="muted">Request <code>${requestId}</code></p>
  <p><a class="button plain" href="${root}/">Go to the start</a></p>
</div>`,
  }
}

/** A page that the browser leaves at once; the link is for the one that does not. */
export function stepPage(title: string, onward: string): Page {
  return {
    title,
    onward,
    content: html`<h1>${title}</h1><p><a class="button plain" href="${onward}">Go on</a></p>`,
  }
}
