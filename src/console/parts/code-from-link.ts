import { findOne } from '../../http/form.ts'
import { FORM_TOKEN } from '../form-token.ts'
import { html } from '../html.ts'
import type { Page, Visit } from '../visit.ts'
import { submit } from './form.ts'

/**
 * Takes the secret of a link: it stands in the fragment, which browsers send to nobody. A module moves it into the
 * form, takes it out of the address and sends the form; without JavaScript the person pastes it.
 */
export function codePage({ formToken }: Visit, { title, action }: { title: string; action: string }): Page {
  return {
    title,
    scripts: ['code-from-link.js'],
    content: html`<h1>${title}</h1>
<form class="form" method="post" action="${action}" data-code-from-link>
  <input type="hidden" name="${FORM_TOKEN}" value="${formToken}">
  <div class="field">
    <label for="code">Code</label>
    <input id="code" name="code" type="text" class="mono" autocomplete="off" spellcheck="false" required aria-describedby="code-help">
    <p class="help" id="code-help">The part of your link after the <code>#</code>. It begins with <code>csi_</code>. You can paste the whole link as well.</p>
  </div>
  <div class="actions">${submit('Go on')}</div>
</form>`,
  }
}

/** The code that was typed or taken, alone or in its link. */
export function readCode({ form }: Visit): string {
  const given = (findOne(form, 'code') ?? '').trim()
  return given.slice(given.indexOf('#') + 1)
}
