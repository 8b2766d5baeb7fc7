import { createGroup as create, getGroup, updateGroup } from '../../directory/groups.ts'
import { type Draft, freshDraft, line, lines, readForm, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, submit, textArea, textField } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { groupPath } from './group.ts'

const FIELDS = {
  name: line({ max: 100, required: 'Give the group a name.' }),
  description: lines({ max: 1000 }),
}

export function showNewGroup(visit: OrganizationVisit): Reply {
  return { page: drawNew(visit, freshDraft()) }
}

export async function createGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(drawNew(visit, read.draft), read.draft)
  try {
    const group = await create(services, actor, organization.id, read.values)
    return { to: `${home}/groups/${group.id}`, done: `The group ${group.name} is created.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(drawNew(visit, draft), draft)
  }
}

export async function editGroup(visit: OrganizationVisit): Promise<Reply> {
  const { name, description } = await getGroup(visit.services, visit.actor, groupPath(visit))
  return { page: drawEdit(visit, freshDraft({ name, description })) }
}

export async function saveGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, form } = visit
  // Before anything is said of the form: what somebody may not see is not there.
  await getGroup(services, actor, groupPath(visit))
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(drawEdit(visit, read.draft), read.draft)
  try {
    const group = await updateGroup(services, actor, groupPath(visit), read.values)
    return { to: `${home}/groups/${group.id}`, done: `The group ${group.name} is saved.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(drawEdit(visit, draft), draft)
  }
}

function drawNew(visit: OrganizationVisit, draft: Draft): Page {
  const { services, organization, home } = visit
  const above = `${home}/groups`
  return {
    title: 'New group',
    content: html`${pageHeader({
      title: 'New group',
      purpose:
        'Only groups administrators reach it until you give others access. Resource servers see its name and id.',
      above: { label: 'Groups', to: above },
    })}
${drawForm(visit, draft, { action: `${above}/new`, act: 'Create group', back: above })}
${apiDisclosure(services.issuer, [
  {
    title: 'Create a group',
    method: 'POST',
    path: `/organizations/${organization.id}/groups`,
    body: { name: draft.value('name') || 'Northern branch' },
  },
])}`,
  }
}

function drawEdit(visit: OrganizationVisit, draft: Draft): Page {
  const here = `${visit.home}/groups/${visit.params.grp}`
  return {
    title: 'Edit group',
    content: html`${pageHeader({
      title: 'Edit group',
      purpose:
        'Access stays what it is. Resource servers that go by the name, not by the id, meet another group.',
      above: { label: 'Group', to: here },
    })}
${drawForm(visit, draft, { action: `${here}/edit`, act: 'Save changes', back: here })}`,
  }
}

function drawForm(
  { formToken }: OrganizationVisit,
  draft: Draft,
  { action, act, back }: { action: string; act: string; back: string },
) {
  return html`${faultSummary(draft)}
${form({
  action,
  formToken,
  content: html`${textField(draft, {
    name: 'name',
    label: 'Name',
    help: 'Whose data it is about, such as «Northern branch».',
    hasFocus: true,
  })}
${textArea(draft, { name: 'description', label: 'Description', isOptional: true, rows: 2 })}
${actions(submit(act), { label: 'Cancel', to: back })}`,
})}`
}
