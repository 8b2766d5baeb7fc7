import type { Administrator } from '../../database/queries/administrators.ts'
import { updateAdministrator } from '../../directory/administrators.ts'
import { explainAdministrator } from '../../directory/effective-permissions.ts'
import { nameGroups } from '../../directory/groups.ts'
import { isLastOwner } from '../../directory/ownership.ts'
import { nameRoles } from '../../directory/roles.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { accessFields, accessValues, readAccess, readAccessOptions } from '../parts/access-fields.ts'
import { apiDisclosure } from '../parts/api.ts'
import { commaSeparated, effectivePermissionsTable, roleLink } from '../parts/effective-permissions.ts'
import { facts } from '../parts/facts.ts'
import { actions, faultSummary, form, submit } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { PICKER_SCRIPT } from '../parts/permission-picker.ts'
import { isOutdated, outdatedDraft, seenField } from '../parts/seen.ts'
import { count } from '../parts/time.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'
import {
  administratorHeader,
  administratorPath,
  LAST_OWNER,
  NO_CHANGE,
  readAdministrator,
} from './administrator.ts'
import { isSelf } from './administrators.ts'

/** What an administrator was given, and what they may do by it. */
export async function showAdministratorAccess(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const administrator = await readAdministrator(visit)
  const groupIds = administrator.groupAccess.map(({ groupId }) => groupId)
  const [explained, roleNames, groups] = await Promise.all([
    explainAdministrator(services, actor, administratorPath(visit), pageOf(visit)),
    nameRoles(services, [administrator]),
    nameGroups(services, actor, organization.id, groupIds),
  ])
  const here = `${home}/administrators/${administrator.id}/access`
  const path = `/organizations/${organization.id}/administrators/${administrator.id}`
  const action = may(visit, 'administrators:manage') ? linkButton('Change access', `${here}/edit`) : undefined
  return {
    page: {
      title: `Access of ${administrator.name}`,
      content: html`${administratorHeader(visit, administrator, 'Access', action)}
${drawFacts(visit, administrator, { roleNames, groups })}
${section(
  'What they may do',
  explained.items.length === 0
    ? html`<p class="muted">Nothing yet: no role and no permission. They can sign in and look after their own security.</p>`
    : html`${effectivePermissionsTable(visit, explained.items)}${paging(visit, explained.nextCursor)}`,
)}
${apiDisclosure(services.issuer, [
  { title: 'What they may do', method: 'GET', path: `${path}/effective-permissions` },
  { title: 'Give roles', method: 'PATCH', path, body: { role_ids: administrator.roleIds } },
])}`,
    },
  }
}

export async function editAdministratorAccess(visit: OrganizationVisit): Promise<Reply> {
  const administrator = await readAdministrator(visit)
  return { page: await draw(visit, administrator, freshDraft(accessValues(administrator))) }
}

/** Gives and takes; the directory refuses what is not the person's to give, and the loss of the last owner. */
export async function saveAdministratorAccess(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, root, home, form } = visit
  const administrator = await readAdministrator(visit)
  if (isOutdated(form, administrator.updatedAt)) {
    const draft = outdatedDraft(accessValues(administrator))
    return refused(await draw(visit, administrator, draft), draft)
  }
  const read = await readAccess(visit, administrator)
  if ('draft' in read) return refused(await draw(visit, administrator, read.draft), read.draft)
  const patch = { ...NO_CHANGE, access: read.access }
  try {
    await updateAdministrator(services, actor, administratorPath(visit), patch)
  } catch (error) {
    const draft = refusedDraft(error, form)
    return refused(await draw(visit, administrator, draft), draft)
  }
  // Who has taken something from themself may not be allowed to see this page any more.
  if (isSelf(visit, administrator)) return { to: `${root}/`, done: 'Your own access is saved.' }
  return {
    to: `${home}/administrators/${administrator.id}/access`,
    done: `The access of ${administrator.name} is saved.`,
  }
}

function drawFacts(
  visit: OrganizationVisit,
  { roleIds, permissions, groupAccess, groupsAdministrator }: Administrator,
  named: { roleNames: ReadonlyMap<string, string>; groups: readonly { id: string; name: string }[] },
): Html {
  const none = html`<span class="muted">none</span>`
  return facts([
    [
      'Roles',
      roleIds.length === 0
        ? none
        : commaSeparated(roleIds.map((id) => roleLink(visit, { id, name: named.roleNames.get(id) ?? id }))),
    ],
    ['Direct permissions', permissions.length === 0 ? none : count(permissions.length, 'permission')],
    ['Groups', groupAccess.length === 0 ? none : drawGroups(visit, groupAccess, named.groups)],
    ['All groups', groupsAdministrator === null ? 'no' : `${groupsAdministrator} (groups administrator)`],
  ])
}

/** By name for who may know of groups. */
function drawGroups(
  visit: OrganizationVisit,
  groupAccess: Administrator['groupAccess'],
  groups: readonly { id: string; name: string }[],
): Html {
  if (!may(visit, 'groups:read')) return html`${count(groupAccess.length, 'group')}`
  const entries = groupAccess.map(({ groupId, access }) => {
    const name = groups.find(({ id }) => id === groupId)?.name ?? groupId
    return html`${access} of <a href="${visit.home}/groups/${groupId}">${name}</a>`
  })
  return commaSeparated(entries)
}

async function draw(visit: OrganizationVisit, administrator: Administrator, draft: Draft): Promise<Page> {
  const { services, organization, home, formToken } = visit
  const [options, isLast] = await Promise.all([
    readAccessOptions(visit, administrator),
    isLastOwner(services.db, organization, administrator.id),
  ])
  const here = `${home}/administrators/${administrator.id}/access`
  return {
    title: `Change access of ${administrator.name}`,
    scripts: [PICKER_SCRIPT],
    content: html`${pageHeader({
      title: 'Change access',
      purpose: 'It counts at once, also in sessions that are open. You can give only what you have yourself.',
      above: { label: administrator.name, to: here },
    })}
${isLast && draft.problem === undefined && html`<p class="caution">${LAST_OWNER}</p>`}
${isSelf(visit, administrator) && !isLast && html`<p class="caution">This is you. What you take from yourself somebody else must give back.</p>`}
${faultSummary(draft)}
${form({
  action: `${here}/edit`,
  formToken,
  content: html`${seenField(administrator.updatedAt)}${accessFields(draft, options)}
${actions(submit('Save access'), { label: 'Cancel', to: here })}`,
})}`,
  }
}
