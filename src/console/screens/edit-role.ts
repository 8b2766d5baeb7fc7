import type { Role } from '../../database/queries/roles.ts'
import { countRoleHolders } from '../../directory/holders.ts'
import { createRole as create, getRole, updateRole } from '../../directory/roles.ts'
import { type Draft, freshDraft, line, lines, readForm, refused, refusedDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, submit, textArea, textField } from '../parts/form.ts'
import { countHolders, verb } from '../parts/holders.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import {
  PICKER_SCRIPT,
  permissionPicker,
  pickedPermissions,
  pickValue,
  readPermissions,
} from '../parts/permission-picker.ts'
import { isOutdated, outdatedDraft, seenField } from '../parts/seen.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { rolePath } from './role.ts'

const FIELDS = {
  name: line({ max: 100, required: 'Give the role a name.' }),
  description: lines({ max: 1000 }),
  permissions: pickedPermissions(),
}

type Permissions = readonly { resourceServerId: string; permission: string }[]

export async function showNewRole(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawNew(visit, freshDraft()) }
}

/** Creates a role of what was ticked; the directory refuses what is not the person's to give. */
export async function createRole(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form } = visit
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await drawNew(visit, read.draft), read.draft)
  try {
    const role = await create(services, actor, organization.id, read.values)
    return { to: `${home}/roles/${role.id}`, done: `The role ${role.name} is created.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await drawNew(visit, draft), draft)
  }
}

export async function editRole(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor } = visit
  const role = await getRole(services, actor, rolePath(visit))
  return { page: await drawEdit(visit, freshDraft(valuesOf(role))) }
}

export async function saveRole(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home, form } = visit
  // Before anything is said of the form: what somebody may not see is not there.
  const before = await getRole(services, actor, rolePath(visit))
  if (isOutdated(form, before.updatedAt)) {
    const draft = outdatedDraft(valuesOf(before))
    return refused(await drawEdit(visit, draft), draft)
  }
  const read = readForm(form, FIELDS)
  if ('draft' in read) return refused(await drawEdit(visit, read.draft), read.draft)
  try {
    const role = await updateRole(services, actor, rolePath(visit), read.values)
    return { to: `${home}/roles/${role.id}`, done: `The role ${role.name} is saved.` }
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await drawEdit(visit, draft), draft)
  }
}

function valuesOf({ name, description, permissions }: Role) {
  return { name, description, permissions: permissions.map(pickValue) }
}

async function drawNew(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, organization, home } = visit
  const above = `${home}/roles`
  return {
    title: 'New role',
    scripts: [PICKER_SCRIPT],
    content: html`${pageHeader({
      title: 'New role',
      purpose: 'A set of permissions with a name that people understand. Resource servers see the name, too.',
      above: { label: 'Roles', to: above },
    })}
${await drawForm(visit, draft, { given: [], action: `${above}/new`, act: 'Create role', back: above })}
${apiDisclosure(services.issuer, [
  {
    title: 'Create a role',
    method: 'POST',
    path: `/organizations/${organization.id}/roles`,
    body: { name: draft.value('name') || 'Bookkeeping', permissions: [] },
  },
])}`,
  }
}

async function drawEdit(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, organization, home } = visit
  const role = await getRole(services, actor, rolePath(visit))
  const counts = (await countRoleHolders(services, actor, organization.id, [role.id]))(role.id)
  const here = `${home}/roles/${role.id}`
  const isHeld = counts.serviceAccounts + counts.administrators > 0
  if (role.organizationId === null) return drawBuiltIn(role.name, here)
  return {
    title: 'Edit role',
    scripts: [PICKER_SCRIPT],
    content: html`${pageHeader({
      title: 'Edit role',
      purpose: isHeld
        ? `${countHolders(counts, '')} ${verb(counts, 'has', 'have')} it: what you change here counts for them at once.`
        : 'Nobody has it yet.',
      above: { label: role.name, to: here },
    })}
${await drawForm(visit, draft, { given: role.permissions, seen: seenField(role.updatedAt), action: `${here}/edit`, act: 'Save changes', back: here })}`,
  }
}

function drawBuiltIn(name: string, here: string): Page {
  return {
    title: 'Edit role',
    content: html`${pageHeader({
      title: `The role ${name} is built in`,
      purpose:
        'It is the same in every organization, and nobody can change it. Make a role of your own instead.',
    })}<p>${linkButton('Back to the role', here, 'plain')}</p>`,
  }
}

async function drawForm(
  visit: OrganizationVisit,
  draft: Draft,
  options: { given: Permissions; seen?: Html; action: string; act: string; back: string },
) {
  const { given, seen, action, act, back } = options
  return html`${faultSummary(draft)}
${form({
  action,
  formToken: visit.formToken,
  content: html`${seen}${textField(draft, {
    name: 'name',
    label: 'Name',
    help: 'What somebody who has it does, such as «Bookkeeping».',
    hasFocus: true,
  })}
${textArea(draft, { name: 'description', label: 'Description', isOptional: true, rows: 2, help: 'When to give it, and when not.' })}
${permissionPicker(
  draft,
  { name: 'permissions', label: 'Permissions', help: 'The least that the work needs.' },
  { permissions: await readPermissions(visit), given },
)}
${actions(submit(act), { label: 'Cancel', to: back })}`,
})}`
}
