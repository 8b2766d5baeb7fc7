import { updateAdministrator } from '../../directory/administrators.ts'
import { type Draft, freshDraft, line, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { actions, faultSummary, form, submit, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { administratorPath, NO_CHANGE, readAdministrator } from './administrator.ts'

const FIELDS = { name: line({ max: 200, required: 'Say who it is.' }) }

export async function editAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { name } = await readAdministrator(visit)
  return { page: draw(visit, freshDraft({ name })) }
}

export async function saveAdministrator(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, form } = visit
  // Before anything is said of the form: what somebody may not see is not there.
  await readAdministrator(visit)
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(draw(visit, read.draft), read.draft)
  const patch = { ...NO_CHANGE, name: read.values.name }
  try {
    const { id } = await updateAdministrator(services, actor, administratorPath(visit), patch)
    return { to: `${home}/administrators/${id}`, done: 'Your changes are saved.' }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(draw(visit, draft), draft)
  }
}

function draw({ home, params, formToken }: OrganizationVisit, draft: Draft): Page {
  const back = `${home}/administrators/${params.adm}`
  return {
    title: 'Edit administrator',
    content: html`${pageHeader({
      title: 'Edit administrator',
      purpose: 'The address is who they are, and stays. For another one, invite them anew.',
      above: { label: 'Administrator', to: back },
    })}
${faultSummary(draft)}
${form({
  action: `${back}/edit`,
  formToken,
  content: html`${textField(draft, { name: 'name', label: 'Name', hasFocus: true })}
${actions(submit('Save changes'), { label: 'Cancel', to: back })}`,
})}`,
  }
}
