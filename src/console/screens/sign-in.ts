import { signInWithPassword } from '../../authentication/password-sign-in.ts'
import { getSession } from '../../authentication/sessions.ts'
import { hasIdentityProviders } from '../../database/queries/identity-providers.ts'
import { Refusal } from '../../errors.ts'
import { findOne } from '../../http/form.ts'
import { safeNext } from '../browser.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { readQuery } from '../query.ts'
import { explain } from '../refusals.ts'
import type { Page, Reply, Visit } from '../visit.ts'

const FIELDS = {
  email: line({ max: 254, required: 'Give your address.' }),
  password: secretLine('Give your password.'),
  organization: line({ max: 100 }),
}

export async function askForSignIn(visit: Visit): Promise<Reply> {
  const { services, root, secret, facts, query } = visit
  const next = safeNext(root, query.get('next') ?? undefined)
  if (await isSignedIn()) return { to: next }
  return { page: await draw(visit, refusedElsewhere(visit), next) }

  async function isSignedIn(): Promise<boolean> {
    try {
      return (await getSession(services, secret, facts)) !== undefined
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
  }
}

export async function signIn(visit: Visit): Promise<Reply> {
  const { services, root, facts, form } = visit
  const next = safeNext(root, findOne(form, 'next'))
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft, next), read.draft)
  try {
    const { email, password, organization } = read.values
    const given = { email, password, organization: organization === '' ? undefined : organization }
    const signedIn = await signInWithPassword(services, given, facts)
    const onward = new URLSearchParams({ next })
    return {
      to: signedIn.awaitsSecondFactor ? `${root}/sign-in/code?${onward}` : next,
      session: signedIn.secret,
    }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, draft, next), draft)
  }
}

/** What the way back from an identity provider has to say (src/sign-in). */
function refusedElsewhere({ query }: Visit): Draft {
  const reason = readQuery(query, 'refused')
  const known = OPENID_REASONS.find((each) => each === reason)
  const fresh = freshDraft({ organization: readQuery(query, 'organization') ?? '' })
  return { ...fresh, problem: known === undefined ? undefined : explain(new Refusal(known)) }
}

const OPENID_REASONS = [
  'openid_unavailable',
  'openid_request_unknown',
  'openid_failed',
  'openid_identity_refused',
] as const

async function draw({ services, root, formToken }: Visit, draft: Draft, next: string): Promise<Page> {
  const hasSingleSignOn = await hasIdentityProviders(services.db)
  return {
    title: 'Sign in',
    content: html`<h1>Sign in</h1>
${next === `${root}/unsent` && html`<p class="purpose">You were signed out before your form was sent, and nothing was changed. Sign in to go on with what you typed.</p>`}
${faultSummary(draft)}
${form({
  action: `${root}/sign-in`,
  formToken,
  content: html`<input type="hidden" name="next" value="${next}">
  ${textField(draft, { name: 'email', label: 'Email address', type: 'email', autocomplete: 'username', hasFocus: true })}
  ${textField(draft, { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' })}
  <details class="more"${draft.value('organization') !== '' && html` open`}>
    <summary>Your address is in several organizations?</summary>
    ${textField(draft, {
      name: 'organization',
      label: 'Organization',
      help: 'The short name of the one that you mean, such as acme.',
      autocomplete: 'organization',
      isOptional: true,
    })}
  </details>
  ${actions(submit('Sign in'))}`,
})}
${
  hasSingleSignOn &&
  html`<p class="or"><span>or</span></p>
<p><a class="button plain wide" href="${root}/sign-in/single-sign-on">Use single sign-on</a></p>`
}
<p class="muted">No account yet? An administrator of your organization can invite you.</p>`,
  }
}
