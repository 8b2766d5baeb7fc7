import * as authentication from '../../authentication/second-factor.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { copyable } from '../parts/copy.ts'
import { dangerPage } from '../parts/danger.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import { qrCode } from '../parts/qr-code.ts'
import { recoveryCodesPage } from '../parts/recovery-codes.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'

const PASSWORD = { password: secretLine('Give your password.') }
const CODE = { code: secretLine('Type the code that your authenticator shows.') }

/** First the password: whoever has found an open session has it not. */
export function showSecondFactor(visit: SessionVisit): Reply {
  return { page: drawPassword(visit, freshDraft()) }
}

/** Then the secret, this once, and the first code. */
export async function beginSecondFactor(visit: SessionVisit): Promise<Reply> {
  const { services, session, form } = visit
  const read = readForm(form, PASSWORD)
  if ('draft' in read) return refused(drawPassword(visit, read.draft), read.draft)
  try {
    const enrolment = await authentication.beginEnrolment(services, session, read.values.password)
    return { page: drawCode(visit, freshDraft(), enrolment) }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(drawPassword(visit, draft), draft)
  }
}

/** Then the recovery codes, this once. */
export async function confirmSecondFactor(visit: SessionVisit): Promise<Reply> {
  const { services, root, session, form } = visit
  const read = readForm(form, CODE)
  if ('draft' in read) return refused(drawCode(visit, read.draft), read.draft)
  try {
    const codes = await authentication.confirmEnrolment(services, session, read.values.code)
    return { page: { title: 'Recovery codes', content: recoveryCodesPage(codes, `${root}/security`) } }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(drawCode(visit, draft), draft)
  }
}

export function askForRemoval(visit: SessionVisit): Reply {
  return { page: drawRemoval(visit, freshDraft()) }
}

export async function removeSecondFactor(visit: SessionVisit): Promise<Reply> {
  const { services, root, session, form } = visit
  const read = readForm(form, { ...PASSWORD, ...CODE })
  if ('draft' in read) return refused(drawRemoval(visit, read.draft), read.draft)
  try {
    await authentication.removeSecondFactor(services, session, read.values)
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(drawRemoval(visit, draft), draft)
  }
  return { to: `${root}/security`, done: 'Your second factor is removed.' }
}

const ABOVE = 'Your security'

function drawPassword({ root, formToken }: SessionVisit, draft: Draft): Page {
  const back = `${root}/security`
  return {
    title: 'Set up second factor',
    content: html`${pageHeader({
      title: 'Set up second factor',
      purpose: 'From then on, signing in takes your password and a code from your authenticator.',
      above: { label: ABOVE, to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${root}/security/second-factor`,
  formToken,
  content: html`${textField(draft, {
    name: 'password',
    label: 'Your password',
    type: 'password',
    autocomplete: 'current-password',
    hasFocus: true,
  })}
  ${actions(submit('Go on'), { label: 'Back', to: back })}`,
})}`,
  }
}

/** The secret is there the first time only; after a wrong code the authenticator has it already. */
function drawCode(
  { root, formToken }: SessionVisit,
  draft: Draft,
  enrolment?: authentication.Enrolment,
): Page {
  const back = `${root}/security`
  return {
    title: 'Set up second factor',
    content: html`${pageHeader({
      title: 'Set up second factor',
      purpose: 'Two steps: give the secret to your authenticator, then prove that it works.',
      above: { label: ABOVE, to: back },
    })}
${faultSummary(draft)}
<ol class="steps">
  <li><h2>Give the secret to your authenticator</h2>${enrolment === undefined ? drawKnownSecret(root) : drawSecret(enrolment)}</li>
  <li><h2>Type the code that it shows</h2>
${form({
  action: `${root}/security/second-factor/confirm`,
  formToken,
  content: html`${textField(draft, {
    name: 'code',
    label: 'Code',
    help: 'Six digits, which change every half minute.',
    autocomplete: 'one-time-code',
    inputmode: 'numeric',
    isMono: true,
  })}
  ${actions(submit('Turn on'), { label: 'Cancel', to: back })}`,
})}</li>
</ol>`,
  }
}

function drawSecret({ secret, keyUri }: authentication.Enrolment): Html {
  const groups = secret.replaceAll(/.{4}(?=.)/g, '$& ')
  return html`<div class="enrolment">
  ${qrCode(keyUri, 'The secret, to be read by the camera of your authenticator')}
  <div>
    <p>Let your authenticator read the code. Code and secret are shown this once.</p>
    <p>By hand: time-based, six digits, 30 seconds, with the secret<br>${copyable(secret, { label: 'the secret', shown: groups })}</p>
    <p class="muted">On this device: <a href="${keyUri}">open it in your authenticator</a>.</p>
  </div>
</div>`
}

function drawKnownSecret(root: string): Html {
  return html`<p>It was shown a moment ago. If your authenticator has it not, <a href="${root}/security/second-factor">begin again with a new one</a>.</p>`
}

function drawRemoval({ root, formToken }: SessionVisit, draft: Draft): Page {
  return {
    title: 'Remove second factor',
    content: dangerPage({
      title: 'Remove your second factor?',
      consequences: [
        'Your password alone lets somebody in, from anywhere.',
        'Your recovery codes stop working now.',
      ],
      act: 'Remove second factor',
      action: `${root}/security/second-factor/remove`,
      formToken,
      back: { label: 'Keep it', to: `${root}/security` },
      draft,
      fields: html`${textField(draft, { name: 'password', label: 'Your password', type: 'password', autocomplete: 'current-password' })}
${textField(draft, { name: 'code', label: 'Code', help: 'Of your authenticator, or a recovery code.', autocomplete: 'one-time-code', isMono: true })}`,
    }),
  }
}
