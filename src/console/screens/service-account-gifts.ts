import { z } from 'zod'
import type { ListedPermission } from '../../directory/permissions.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { changeAccess } from '../../directory/service-accounts.ts'
import { type Draft, freshDraft, lines, readForm, refused } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { actions, faultSummary, form, submit, textArea } from '../parts/form.ts'
import { pageHeader } from '../parts/page-header.ts'
import {
  isOfManagement,
  PICKER_SCRIPT,
  permissionPicker,
  pickedPermissions,
  pickValue,
  readPermissions,
} from '../parts/permission-picker.ts'
import { refusedGift } from '../parts/refused-gift.ts'
import { count } from '../parts/time.ts'
import type { OrganizationVisit, Page, Reply } from '../visit.ts'
import { accountPath, permissionsOf } from './service-account.ts'

/** As the API has it: printable ASCII, one `*` at the end. */
const SUBJECT = /^[!-)+-~]{1,254}\*?$|^\*$/
const PERMISSION_FIELDS = {
  permissions: pickedPermissions().refine((list) => list.length > 0, 'Tick one permission at least.'),
}
const DELEGATION_FIELDS = { subjects: subjectLines(), permissions: pickedPermissions() }

export async function showGive(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawGive(visit, freshDraft()) }
}

/** Gives what was ticked besides what the account has by now. */
export async function givePermissions(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  // Before anything is said of the form: what somebody may not see is not there.
  await getServiceAccount(services.db, actor, accountPath(visit))
  const read = readForm(given, PERMISSION_FIELDS)
  if ('draft' in read) return refused(await drawGive(visit, read.draft), read.draft)
  const { permissions } = read.values
  try {
    const { name } = await changeAccess(services, actor, accountPath(visit), (held) => ({
      permissions: [...held.permissions, ...permissions],
    }))
    return { to: permissionsOf(visit), done: `${name} has ${count(permissions.length, 'permission')} more.` }
  } catch (error) {
    const draft = refusedGift(error, visit, { field: 'permissions', names: [] })
    return refused(await drawGive(visit, draft), draft)
  }
}

export async function showDelegation(visit: OrganizationVisit): Promise<Reply> {
  return { page: await drawDelegation(visit, freshDraft()) }
}

/** Adds end users, and what the account may do for all of its end users, to what it may do for them by now. */
export async function delegate(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, form: given } = visit
  await getServiceAccount(services.db, actor, accountPath(visit))
  const read = readForm(given, DELEGATION_FIELDS)
  if ('draft' in read) return refused(await drawDelegation(visit, read.draft), read.draft)
  const { values } = read
  try {
    const { name } = await changeAccess(services, actor, accountPath(visit), ({ delegation }) => {
      const subjects = [...(delegation?.subjects ?? []), ...values.subjects]
      const permissions = [...(delegation?.permissions ?? []), ...values.permissions]
      return {
        delegation: {
          ...(subjects.length > 0 && { subjects }),
          ...(permissions.length > 0 && { permissions }),
        },
      }
    })
    return { to: permissionsOf(visit), done: `${name} may act for more now.` }
  } catch (error) {
    const fields = { '/delegation/subjects': 'subjects', '/delegation/permissions': 'permissions' }
    const draft = refusedGift(error, visit, { field: 'permissions', names: [], fields })
    return refused(await drawDelegation(visit, draft), draft)
  }
}

async function drawGive(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, organization, formToken, path } = visit
  const [{ account }, all] = await Promise.all([
    getServiceAccount(services.db, actor, accountPath(visit)),
    readPermissions(visit),
  ])
  const permissions = withoutHeld(all, account.permissions)
  const [example] = permissions
  return {
    title: 'Give permissions',
    scripts: [PICKER_SCRIPT],
    content: html`${pageHeader({
      title: 'Give permissions',
      purpose: 'What you tick is added to what the account has. It counts for its next tokens.',
      above: { label: `Permissions of ${account.name}`, to: permissionsOf(visit) },
    })}
${faultSummary(draft)}
${
  permissions.length === 0
    ? html`<p class="nothing">It has every permission that resource servers define.</p>`
    : form({
        action: path,
        formToken,
        content: html`${permissionPicker(
          draft,
          { name: 'permissions', label: 'Permissions', help: 'Give it the least that it needs.' },
          { permissions, given: [] },
        )}
${actions(submit('Give permissions'), { label: 'Cancel', to: permissionsOf(visit) })}`,
      })
}
${apiDisclosure(services.issuer, [
  {
    title: 'Give permissions: the whole list',
    method: 'PATCH',
    path: `/organizations/${organization.id}/service-accounts/${account.id}`,
    body: { permissions: example ? [toWire(example)] : [] },
  },
])}`,
  }
}

async function drawDelegation(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, organization, formToken, path } = visit
  const [{ account }, all] = await Promise.all([
    getServiceAccount(services.db, actor, accountPath(visit)),
    readPermissions(visit),
  ])
  const { delegation } = account
  const lendable = all.filter((entry) => !isOfManagement(visit, entry))
  const permissions = withoutHeld(lendable, delegation?.permissions ?? [])
  const [example] = lendable
  return {
    title: 'Acting for end users',
    scripts: [PICKER_SCRIPT],
    content: html`${pageHeader({
      title: 'Let it act for end users',
      purpose:
        'It gets tokens in the name of these users, good for what you lend it here and it has itself. The audit trail names the user with each of them.',
      above: { label: `Permissions of ${account.name}`, to: permissionsOf(visit) },
    })}
${faultSummary(draft)}
${form({
  action: path,
  formToken,
  content: html`${textArea(draft, {
    name: 'subjects',
    label: delegation === null ? 'End users' : 'More end users',
    help: html`One in a line, as resource servers know them. <code>user-*</code> stands for all that begin so, <code>*</code> for everybody.`,
    rows: 4,
    isMono: true,
    isOptional: delegation !== null,
  })}
${drawLendable(draft, permissions)}
${actions(submit('Let it act'), { label: 'Cancel', to: permissionsOf(visit) })}`,
})}
${apiDisclosure(services.issuer, [
  {
    title: 'For whom it may act, as a whole',
    method: 'PATCH',
    path: `/organizations/${organization.id}/service-accounts/${account.id}`,
    body: { delegation: { subjects: ['user-*'], permissions: example ? [toWire(example)] : [] } },
  },
])}`,
  }
}

function drawLendable(draft: Draft, permissions: readonly ListedPermission[]): Html {
  if (permissions.length === 0)
    return html`<p class="nothing">There is nothing more to lend. Administering this server is not for end users.</p>`
  return permissionPicker(
    draft,
    {
      name: 'permissions',
      label: 'What it may do for them',
      help: 'For all of its end users alike. Administering this server is not for end users, and not offered.',
    },
    { permissions, given: [] },
  )
}

function withoutHeld(
  all: readonly ListedPermission[],
  held: readonly { resourceServerId: string; permission: string }[],
): ListedPermission[] {
  const values = new Set(held.map(pickValue))
  return all.filter(
    ({ resourceServerId, name }) => !values.has(pickValue({ resourceServerId, permission: name })),
  )
}

function toWire({ resourceServerId, name }: ListedPermission) {
  return { resource_server_id: resourceServerId, permission: name }
}

/** End users, one in a line. */
function subjectLines() {
  return lines({ max: 30_000 })
    .transform((text) => text.split(/\s+/).filter((subject) => subject !== ''))
    .pipe(
      z
        .array(z.string().regex(SUBJECT, 'An end user is printable ASCII, with one * at the end at most.'))
        .max(100, 'This is more than 100 end users.'),
    )
}
