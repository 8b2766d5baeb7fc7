import { beginOpenidSignIn } from '../../authentication/openid-sign-in.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { stepPage } from '../parts/plain-pages.ts'
import { readQuery } from '../query.ts'
import type { Page, Reply, Visit } from '../visit.ts'

const FIELDS = { organization: line({ max: 100, required: 'Give the short name of your organization.' }) }

/** Asks whose identity provider it is; a link may name it in `organization`. */
export function askForOrganization(visit: Visit): Reply {
  return { page: draw(visit, freshDraft({ organization: readQuery(visit.query, 'organization') ?? '' })) }
}

/**
 * Goes to the identity provider. Answers with a page that goes on by itself, not with a redirect: `form-action`
 * of our policy also holds for where a form is redirected to.
 */
export async function beginSingleSignOn(visit: Visit): Promise<Reply> {
  const { services, facts, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  try {
    const { url, cookie } = await beginOpenidSignIn(services, read.values.organization.toLowerCase(), facts)
    return { page: stepPage('Going to your identity provider', url), openid: cookie }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(draw(visit, draft), draft)
  }
}

function draw({ root, formToken }: Visit, draft: Draft): Page {
  return {
    title: 'Single sign-on',
    content: html`<h1>Single sign-on</h1>
<p class="purpose">You sign in at your organization’s identity provider and come back here.</p>
${faultSummary(draft)}
${form({
  action: `${root}/sign-in/single-sign-on`,
  formToken,
  content: html`${textField(draft, {
    name: 'organization',
    label: 'Organization',
    help: 'Its short name, such as acme.',
    autocomplete: 'organization',
    hasFocus: true,
  })}
  ${actions(submit('Go on'), { label: 'Use a password', to: `${root}/sign-in` })}`,
})}`,
  }
}
