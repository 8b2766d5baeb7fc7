import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { updateServiceAccount } from '../../directory/service-accounts.ts'
import { type Draft, freshDraft, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { ACCOUNT_FIELDS, accountFields } from '../parts/account-fields.ts'
import { actions, faultSummary, form, submit } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { accountPath, NO_ACCESS_CHANGE } from './service-account.ts'

export async function editServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  const { account } = await getServiceAccount(visit.services.db, visit.actor, accountPath(visit))
  const { name, description, ownerContact } = account
  return { page: draw(visit, freshDraft({ name, description, owner_contact: ownerContact ?? '' })) }
}

export async function saveServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, params, form } = visit
  // Before anything is said of the form: what somebody may not see is not there.
  await getServiceAccount(services.db, actor, accountPath(visit))
  const read = readForm(form, ACCOUNT_FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  const { name, description, owner_contact } = read.values
  try {
    await updateServiceAccount(services, actor, accountPath(visit), {
      ...NO_ACCESS_CHANGE,
      name,
      description,
      ownerContact: owner_contact === '' ? null : owner_contact,
    })
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(draw(visit, draft), draft)
  }
  return { to: `${home}/service-accounts/${params.acc}`, done: 'Your changes are saved.' }
}

function draw({ home, params, formToken }: OrganizationVisit, draft: Draft): Page {
  const back = `${home}/service-accounts/${params.acc}`
  return {
    title: 'Edit service account',
    content: html`${pageHeader({
      title: 'Edit service account',
      purpose: 'What people see. Keys and tokens are not touched.',
      above: { label: 'Service account', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/edit`,
  formToken,
  content: html`${accountFields(draft)}
  ${actions(submit('Save changes'), { label: 'Cancel', to: back })}`,
})}`,
  }
}
