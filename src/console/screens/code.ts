import { giveSecondFactor } from '../../authentication/password-sign-in.ts'
import { getPendingSession } from '../../authentication/sessions.ts'
import { findOne } from '../../http/form.ts'
import { safeNext } from '../browser.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import type { Page, Reply, Visit } from '../visit.ts'

const FIELDS = { code: secretLine('Type the code that your authenticator shows.') }

/** Asks for the second factor of a sign-in whose password was right. */
export async function askForCode(visit: Visit): Promise<Reply> {
  const { services, root, secret, facts, query } = visit
  await getPendingSession(services, secret, facts)
  return { page: draw(visit, freshDraft(), safeNext(root, query.get('next') ?? undefined)) }
}

export async function giveCode(visit: Visit): Promise<Reply> {
  const { services, root, secret, facts, form } = visit
  const next = safeNext(root, findOne(form, 'next'))
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft, next), read.draft)
  try {
    const signedIn = await giveSecondFactor(services, secret, read.values.code, facts)
    return { to: next, session: signedIn.secret }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(draw(visit, draft, next), draft)
  }
}

function draw({ root, formToken }: Visit, draft: Draft, next: string): Page {
  return {
    title: 'Second factor',
    content: html`<h1>Second factor</h1>
<p class="purpose">Your password was right. One step is left.</p>
${faultSummary(draft)}
${form({
  action: `${root}/sign-in/code`,
  formToken,
  content: html`<input type="hidden" name="next" value="${next}">
  ${textField(draft, {
    name: 'code',
    label: 'Code',
    help: 'The six digits that your authenticator shows, or one of your recovery codes.',
    autocomplete: 'one-time-code',
    isMono: true,
    hasFocus: true,
  })}
  ${actions(submit('Sign in'), { label: 'Start over', to: `${root}/sign-in` })}`,
})}`,
  }
}
