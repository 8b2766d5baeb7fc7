import { type Html, html } from '../html.ts'

/** What a colour means, everywhere: green active, amber needs a look, red over or destructive, grey disabled. */
type Tone = 'good' | 'notice' | 'bad' | 'off'

/** A state in a word; the colour only repeats it. */
export function badge(tone: Tone, word: string): Html {
  return html`<span class="badge ${tone}">${word}</span>`
}

/** Several of them. */
export function badges(list: readonly Html[]): Html {
  return html`<span class="badges">${list}</span>`
}
