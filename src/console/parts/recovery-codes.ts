import { type Html, html } from '../html.ts'
import { copyButton } from './copy.ts'
import { linkButton } from './page-header.ts'

/** The page that shows recovery codes: once, numbered by what to do. */
export function recoveryCodesPage(codes: readonly string[], next: string): Html {
  return html`<div class="shown-once">
  <h1>Store your recovery codes</h1>
  <p class="purpose">You see them this once. Each lets you in one time without your authenticator.</p>
  <ol class="steps">
    <li><h2>Store them</h2><p>In your password manager, or printed and locked away. Not beside your password alone.</p>
      <div class="codes"><ul>${codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>${copyButton(codes.join('\n'), 'the recovery codes')}</div></li>
    <li><h2>Use one when your authenticator is lost</h2><p>Type it where the code is asked for. It is used up then.</p></li>
    <li><h2>Done</h2><p>${linkButton('I have stored them', next)}</p></li>
  </ol>
</div>`
}
