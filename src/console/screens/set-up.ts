import { checkSetUpLink, setUp } from '../../authentication/set-up.ts'
import { OPERATOR_SLUG } from '../../directory/installation.ts'
import { findOne } from '../../http/form.ts'
import { enter } from '../enter.ts'
import {
  type Draft,
  emailLine,
  freshDraft,
  line,
  readForm,
  refused,
  refusedDraft,
  secretLine,
} from '../forms.ts'
import { html } from '../html.ts'
import { codePage, readCode } from '../parts/code-from-link.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { newPasswordField } from '../parts/new-password.ts'
import type { Page, Reply, Visit } from '../visit.ts'

const FIELDS = {
  name: line({ max: 200, required: 'Give your name.' }),
  email: emailLine(),
  password: secretLine('Choose a password.'),
}

/** Takes the code of the link that the first start has printed. */
export function askForSetUp(visit: Visit): Reply {
  return { page: codePage(visit, { title: 'Set up Countersign', action: `${visit.root}/set-up` }) }
}

export async function showSetUp(visit: Visit): Promise<Reply> {
  const code = readCode(visit)
  await checkSetUpLink(visit.services, code)
  return { page: draw(visit, freshDraft(), code) }
}

/** Makes the first administrator, and signs them in. */
export async function completeSetUp(visit: Visit): Promise<Reply> {
  const { services, facts, form } = visit
  const code = findOne(form, 'code') ?? ''
  await checkSetUpLink(services, code)
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft, code), read.draft)
  try {
    await setUp(services, code, read.values, facts)
  } catch (error) {
    const draft = refusedDraft(error, form, { '/password': 'password' })
    return refused(draw(visit, draft, code), draft)
  }
  return enter(
    visit,
    { ...read.values, organization: OPERATOR_SLUG },
    'You are the first administrator. Welcome.',
  )
}

function draw({ root, formToken }: Visit, draft: Draft, code: string): Page {
  return {
    title: 'Set up Countersign',
    content: html`<h1>Be the first administrator</h1>
<p class="purpose">You will own this installation: you create organizations, invite people and make service accounts.</p>
${faultSummary(draft)}
${form({
  action: `${root}/set-up/complete`,
  formToken,
  content: html`<input type="hidden" name="code" value="${code}">
  ${textField(draft, { name: 'name', label: 'Your name', autocomplete: 'name', hasFocus: true })}
  ${textField(draft, {
    name: 'email',
    label: 'Email address',
    type: 'email',
    autocomplete: 'username',
    help: 'You sign in with it. Countersign sends no mail.',
  })}
  ${newPasswordField(draft, { name: 'password', label: 'Password' })}
  ${actions(submit('Create my account'))}`,
})}`,
  }
}
