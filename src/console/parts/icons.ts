import { type Html, html } from '../html.ts'

/** The mark: two overlapping strokes, theirs outlined, ours filled. Stands beside the word, so it has no name of its own. */
export const MARK: Html = html`<svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
  <path d="M5.6 18.4 13.4 4.9" fill="none" stroke="currentColor" stroke-width="6.4" stroke-linecap="round"/>
  <path class="mark-hollow" d="M5.6 18.4 13.4 4.9" fill="none" stroke-width="3.4" stroke-linecap="round"/>
  <path class="mark-gap" d="M10.6 19.1 18.4 5.6" fill="none" stroke-width="8.4" stroke-linecap="round"/>
  <path class="mark-ours" d="M10.6 19.1 18.4 5.6" fill="none" stroke-width="6" stroke-linecap="round"/>
</svg>`

/** The badge of every service account, wherever both kinds of accounts are shown. */
export const WRENCH: Html = html`<span class="wrench" title="Service account"><svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true" focusable="false">
  <path fill="currentColor" d="M14.6 4.3a.5.5 0 0 0-.84-.22l-1.9 1.9-1.5-.34-.34-1.5 1.9-1.9a.5.5 0 0 0-.22-.84 4 4 0 0 0-4.9 5.05L1.9 11.35a1.9 1.9 0 1 0 2.7 2.7l4.9-4.9a4 4 0 0 0 5.1-4.85Z"/>
</svg><span class="hidden">Service account</span></span>`

export const CHECK_ICON: Html = icon(html`<path d="m3.5 8.5 3 3 6-7"/>`)
export const CROSS_ICON: Html = icon(html`<path d="m4.5 4.5 7 7M11.5 4.5l-7 7"/>`)
export const DASH_ICON: Html = icon(html`<path d="M4.5 8h7"/>`)
export const WARNING_ICON: Html = icon(
  html`<path d="M8 2.2 14.5 13.5h-13L8 2.2Z"/><path d="M8 6.5v3M8 11.4v.1"/>`,
)
export const COPY_ICON: Html = icon(
  html`<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5v-2A1 1 0 0 0 9.5 2.5h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2"/>`,
)
export const SWITCH_ICON: Html = icon(html`<path d="m5 6.5 3-3 3 3M5 9.5l3 3 3-3"/>`)
function icon(paths: Html): Html {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${paths}</svg>`
}
