import { type Html, html } from '../html.ts'
import { COPY_ICON } from './icons.ts'

/**
 * A value to be taken elsewhere, with a button that copies it. The button appears once the browser can do it
 * (assets/copy.js); without JavaScript the text is there to be selected.
 */
export function copyable(value: string, options: { label: string; shown?: string }): Html {
  return html`<span class="copyable"><code>${options.shown ?? value}</code>${copyButton(value, options.label)}</span>`
}

/** The button alone. `label` says what is copied. */
export function copyButton(value: string, label: string): Html {
  return html`<button class="copy" type="button" hidden data-copy="${value}" title="Copy ${label}">${COPY_ICON}<span class="hidden" aria-live="polite">Copy ${label}</span></button>`
}

/** The same as the act that a page is about, with its words. */
export function copyAction(value: string, words: string): Html {
  return html`<button class="button primary" type="button" hidden data-copy="${value}">${COPY_ICON}<span class="copy-words" aria-live="polite">${words}</span></button>`
}

/** A block of code that is meant to be taken. */
export function codeBlock(code: string, label: string): Html {
  return html`<div class="code-block"><pre tabindex="0" aria-label="${label}"><code>${code}</code></pre>${copyButton(code, label)}</div>`
}

/** An id where there is little room: both ends say which it is. */
export function shorten(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 8)}…${id.slice(-6)}`
}
