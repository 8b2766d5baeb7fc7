import { html } from '../html.ts'
import type { Page } from '../visit.ts'
import { copyAction } from './copy.ts'
import { exactTime } from './time.ts'

/**
 * The page that shows an invitation's link, once. Whoever opens it becomes that person, so it is masked until it is
 * asked for, and stands in this answer and nowhere else.
 */
export function invitationLinkPage(
  name: string,
  { url, expiresAt }: { url: string; expiresAt: Date },
  next: string,
): Page {
  return {
    title: 'Hand over the link',
    scripts: ['shown-once.js'],
    content: html`<div class="shown-once" data-shown-once>
  <h1>Hand over the link</h1>
  <p class="purpose">You see it this once. Countersign keeps only what verifies it, and sends no mail.</p>
  <ol class="steps">
    <li><h2>Hand it over</h2>
      <p>To <b>${name}</b> alone, by a way that nobody else reads: whoever opens the link becomes ${name} here.</p>
      <div class="button-row">${copyAction(url, 'Copy the link')}</div>
      <details class="masked"><summary>Show the link</summary><pre id="secret" tabindex="0" aria-label="the link"><code>${url}</code></pre></details>
    </li>
    <li><h2>They choose a password</h2>
      <p>The link works once, until ${exactTime(expiresAt)}. A newer one ends it.</p></li>
    <li><h2>Confirm</h2>
      <form class="form" method="get" action="${next}">
        <label class="option"><input type="checkbox" required data-stored><span class="option-label">I have handed it over</span></label>
        <div class="actions"><button class="button primary" type="submit">Done</button></div>
      </form>
    </li>
  </ol>
</div>`,
  }
}
