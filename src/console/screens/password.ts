import { changePassword as change } from '../../authentication/passwords.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft, secretLine } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { newPasswordField } from '../parts/new-password.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'

const FIELDS = {
  password: secretLine('Give your present password.'),
  new_password: secretLine('Choose a new password.'),
}

export function showPassword(visit: SessionVisit): Reply {
  return { page: draw(visit, freshDraft()) }
}

export async function changePassword(visit: SessionVisit): Promise<Reply> {
  const { services, root, session, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  const { password, new_password: newPassword } = read.values
  try {
    await change(services, session, { password, newPassword })
  } catch (error) {
    const draft = refusedDraft(error, form, { '/new_password': 'new_password' })
    return refused(draw(visit, draft), draft)
  }
  return { to: `${root}/security`, done: 'Your password is changed. Your other sessions have ended.' }
}

function draw({ root, formToken }: SessionVisit, draft: Draft): Page {
  const back = `${root}/security`
  return {
    title: 'Change password',
    content: html`${pageHeader({
      title: 'Change password',
      purpose: 'Your other sessions end at once.',
      above: { label: 'Your security', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${root}/security/password`,
  formToken,
  content: html`${textField(draft, {
    name: 'password',
    label: 'Present password',
    type: 'password',
    autocomplete: 'current-password',
    hasFocus: true,
  })}
  ${newPasswordField(draft, { name: 'new_password', label: 'New password' })}
  ${actions(submit('Change password'), { label: 'Back', to: back })}`,
})}`,
  }
}
