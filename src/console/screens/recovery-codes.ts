import { replaceRecoveryCodes as replace } from '../../authentication/second-factor.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import { recoveryCodesPage } from '../parts/recovery-codes.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'

const FIELDS = { password: secretLine('Give your password.') }

export function showRecoveryCodes(visit: SessionVisit): Reply {
  return { page: draw(visit, freshDraft()) }
}

/** Makes new ones and shows them, this once: a reload makes others, and asks before. */
export async function replaceRecoveryCodes(visit: SessionVisit): Promise<Reply> {
  const { services, root, session, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  try {
    const codes = await replace(services, session, read.values.password)
    return { page: { title: 'Recovery codes', content: recoveryCodesPage(codes, `${root}/security`) } }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(draw(visit, draft), draft)
  }
}

function draw({ root, formToken }: SessionVisit, draft: Draft): Page {
  const back = `${root}/security`
  return {
    title: 'New recovery codes',
    content: html`${pageHeader({
      title: 'New recovery codes',
      purpose: 'Ten new codes take the place of those that you have; these stop working at once.',
      above: { label: 'Your security', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${root}/security/recovery-codes`,
  formToken,
  content: html`${textField(draft, {
    name: 'password',
    label: 'Your password',
    type: 'password',
    autocomplete: 'current-password',
    hasFocus: true,
  })}
  ${actions(submit('Make new codes'), { label: 'Back', to: back })}`,
})}`,
  }
}
