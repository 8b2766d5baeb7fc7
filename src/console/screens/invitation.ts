import { acceptInvitation as accept, readInvitation } from '../../authentication/passwords.ts'
import { findOne } from '../../http/form.ts'
import { enter } from '../enter.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { html } from '../html.ts'
import { codePage, readCode } from '../parts/code-from-link.ts'
import { facts as drawFacts } from '../parts/facts.ts'
import { actions, faultSummary, form, submit } from '../parts/form.ts'
import { newPasswordField } from '../parts/new-password.ts'
import { exactTime } from '../parts/time.ts'
import type { Page, Reply, Visit } from '../visit.ts'

const FIELDS = { password: secretLine('Choose a password.') }

/** Takes the code from the link's fragment, which no server and no log has seen. */
export function askForInvitation(visit: Visit): Reply {
  return { page: codePage(visit, { title: 'Your invitation', action: `${visit.root}/invitation` }) }
}

/** Whose invitation it is. The code goes on in the form, never in an address or a cookie. */
export async function showInvitation(visit: Visit): Promise<Reply> {
  return { page: await draw(visit, freshDraft(), readCode(visit)) }
}

/** Accepts it, and signs in with the new password. */
export async function acceptInvitation(visit: Visit): Promise<Reply> {
  const { services, facts, form } = visit
  const invitation = findOne(form, 'code') ?? ''
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft, invitation), read.draft)
  const { password } = read.values
  let accepted: Awaited<ReturnType<typeof accept>>
  try {
    accepted = await accept(services, { invitation, password }, facts)
  } catch (error) {
    const draft = refusedDraft(error, form, { '/password': 'password' })
    return refused(await draw(visit, draft, invitation), draft)
  }
  const { email, organization } = accepted
  return enter(visit, { email, password, organization: organization.slug }, 'Your password is set. Welcome.')
}

async function draw({ services, root, formToken }: Visit, draft: Draft, invitation: string): Promise<Page> {
  const { email, name, organization, expiresAt } = await readInvitation(services, invitation)
  return {
    title: 'Your invitation',
    content: html`<h1>Choose a password</h1>
<p class="purpose">It makes this account yours. You sign in with the address below and this password.</p>
${drawFacts([
  ['Name', name],
  ['Address', email],
  ['Organization', organization.name],
  ['Good until', exactTime(expiresAt)],
])}
${faultSummary(draft)}
${form({
  action: `${root}/invitation/accept`,
  formToken,
  content: html`<input type="hidden" name="code" value="${invitation}">
  ${newPasswordField(draft, { name: 'password', label: 'Password', hasFocus: true })}
  ${actions(submit('Set the password'))}`,
})}`,
  }
}
