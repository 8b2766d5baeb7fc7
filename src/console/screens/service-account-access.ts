import { z } from 'zod'
import type { ExplainedPermission } from '../../database/queries/access.ts'
import type { ServiceAccount } from '../../database/queries/accounts.ts'
import type { Role } from '../../database/queries/roles.ts'
import type { GroupRow } from '../../database/tables.ts'
import { explainServiceAccount } from '../../directory/effective-permissions.ts'
import { type GrantJudge, readGrantJudge } from '../../directory/granting.ts'
import { nameGroups } from '../../directory/groups.ts'
import type { Listing } from '../../directory/pages.ts'
import type { ListedPermission } from '../../directory/permissions.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { changeAccess } from '../../directory/service-accounts.ts'
import { choice, type Draft, freshDraft, line, readForm, refused, ticked, withFault } from '../forms.ts'
import { type Content, type Html, html } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { effectivePermissionsTable, roleLink } from '../parts/effective-permissions.ts'
import { faultSummary, form, selectField, submit } from '../parts/form.ts'
import { type OfferedGroups, otherGroupField, readGroups, readOtherGroup } from '../parts/groups.ts'
import { linkButton, section } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { pickValue, readPermissions } from '../parts/permission-picker.ts'
import { refusedGift } from '../parts/refused-gift.ts'
import { findObstacle, leastFirst, readKnownRoles } from '../parts/role-options.ts'
import { type Column, table } from '../parts/table.ts'
import { count } from '../parts/time.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'
import { accountPath, permissionsOf } from './service-account.ts'
import { type Thing, thingValue } from './service-account-take.ts'

/** In place of a group: all of them, also those to come. */
const ALL_GROUPS = 'all'

const ROLE_FIELDS = { role_id: picked(/^role_[0-9a-z]{36}$/, 'Choose a role.') }
const GROUP_FIELDS = {
  group_id: picked(/^(|all|grp_[0-9a-z]{36})$/, 'Choose a group.'),
  group_name: line({ max: 100 }),
  access: choice(['viewer', 'manager'], 'Choose a level.'),
}

/** What a service account may do, where it has that from, and what else can be given to it. */
export async function showAccess(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft({ access: 'viewer' })) }
}

/** Gives a role, or access to a group: one thing, whatever else the account has by now. */
export async function giveAccess(visit: OrganizationVisit): Promise<Reply> {
  // Before anything is said of the form: what somebody may not see is not there.
  const { account } = await getServiceAccount(visit.services.db, visit.actor, accountPath(visit))
  return visit.form.has('group_id') ? giveGroup(visit) : giveRole(visit, account)
}

async function giveRole(visit: OrganizationVisit, { roleIds: given }: ServiceAccount): Promise<Reply> {
  const { services, actor, form, path } = visit
  const read = readForm(form, ROLE_FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { role_id: id } = read.values
  const roles = await readKnownRoles(visit, given)
  const name = roles.find((role) => role.id === id)?.name ?? 'role'
  try {
    const { name: account } = await changeAccess(services, actor, accountPath(visit), ({ roleIds }) => ({
      roleIds: [...roleIds, id],
    }))
    return { to: path, done: `${account} has the role ${name} now.` }
  } catch (error) {
    const draft = refusedGift(error, visit, { field: 'role_id', names: roles })
    return refused(await draw(visit, draft), draft)
  }
}

async function giveGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, form, path } = visit
  const read = readForm(form, GROUP_FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { group_id, group_name, access } = read.values
  const chosen = await readChosen(visit, group_id, group_name)
  if ('draft' in chosen) return refused(await draw(visit, chosen.draft), chosen.draft)
  const { id: groupId, name } = chosen
  try {
    const { name: account } = await changeAccess(services, actor, accountPath(visit), ({ groupAccess }) =>
      groupId === ALL_GROUPS
        ? { groupsAdministrator: access }
        : {
            groupAccess: [...groupAccess.filter((entry) => entry.groupId !== groupId), { groupId, access }],
          },
    )
    return { to: path, done: `${account} is ${access} of ${name} now.` }
  } catch (error) {
    const names = groupId === ALL_GROUPS ? [] : [chosen]
    const field = group_name === '' ? 'group_id' : 'group_name'
    const draft = refusedGift(error, visit, { field, names })
    return refused(await draw(visit, draft), draft)
  }
}

/** The group that was chosen, or named since it is not in the list; or all of them. */
async function readChosen(
  visit: OrganizationVisit,
  id: string,
  typed: string,
): Promise<{ id: string; name: string } | { draft: Draft }> {
  const { services, actor, organization, form } = visit
  if (id !== '' && typed !== '') {
    const text = 'Choose from the list, or type a name here, but not both.'
    return { draft: withFault(form, { field: 'group_name', text }) }
  }
  if (id === ALL_GROUPS) return { id, name: 'all groups' }
  if (id !== '') {
    const [group] = may(visit, 'groups:read') ? await nameGroups(services, actor, organization.id, [id]) : []
    return { id, name: group?.name ?? 'the group' }
  }
  const named = await readOtherGroup(visit, typed)
  if ('draft' in named) return named
  return named.other ?? { draft: withFault(form, { field: 'group_id', text: 'Choose a group.' }) }
}

/** What the sections of the page are made of. */
type Known = {
  account: ServiceAccount
  roles: readonly Role[]
  /** undefined for who may not know of groups. */
  offered: OfferedGroups | undefined
  permissions: readonly ListedPermission[]
  judge: GrantJudge
}

async function draw(visit: OrganizationVisit, draft: Draft): Promise<Page> {
  const { services, actor, organization } = visit
  const path = accountPath(visit)
  const { account } = await getServiceAccount(services.db, actor, path)
  const [effective, roles, offered, permissions, judge] = await Promise.all([
    explainServiceAccount(services, actor, path, pageOf(visit)),
    readKnownRoles(visit, account.roleIds),
    readGroups(
      visit,
      account.groupAccess.map(({ groupId }) => groupId),
    ),
    readPermissions(visit),
    readGrantJudge(services.db, actor),
  ])
  const known = { account, roles, offered, permissions, judge }
  const api = `/organizations/${organization.id}/service-accounts/${account.id}`
  return {
    title: `Permissions of ${account.name}`,
    content: html`${accountHeader(visit, account, 'Permissions')}
${faultSummary(draft)}
${drawRoles(visit, draft, known)}
${drawDirect(visit, known)}
${drawGroups(visit, draft, known)}
${drawDelegation(visit, known)}
${drawEffective(visit, effective)}
${apiDisclosure(services.issuer, [
  { title: 'What it may do and why', method: 'GET', path: `${api}/effective-permissions` },
  {
    title: 'Give or take: each list as a whole',
    method: 'PATCH',
    path: api,
    body: {
      role_ids: account.roleIds,
      group_access: account.groupAccess.map(({ groupId, access }) => ({ group_id: groupId, access })),
    },
  },
])}`,
  }
}

function drawRoles(visit: OrganizationVisit, draft: Draft, { account, roles, judge }: Known): Html {
  const isGivable = (role: Role) => findObstacle(role, judge) === undefined
  const others = roles.filter(({ id }) => !account.roleIds.includes(id))
  const offered = others.filter(isGivable).sort(leastFirst)
  const beyond = others.filter((role) => !isGivable(role)).map(({ name }) => name)
  return section(
    'Roles',
    html`${
      account.roleIds.length === 0
        ? html`<p class="muted">It has no role.</p>`
        : list(
            visit,
            'Roles',
            [{ title: 'Role' }, { title: 'Allows' }],
            account.roleIds.map((id) => {
              const role = roles.find((each) => each.id === id)
              return {
                thing: { kind: 'role', id },
                cells: [
                  roleLink(visit, { id, name: role?.name ?? id }),
                  html`${role && count(role.permissions.length, 'permission')}${role?.description && html`<span class="muted">: ${role.description}</span>`}`,
                ],
              }
            }),
          )
    }
${
  may(visit, 'service_accounts:manage') &&
  html`<div class="below">${
    offered.length > 0 &&
    giveForm(
      visit,
      html`${selectField(draft, {
        name: 'role_id',
        label: 'Another role',
        options: [
          { value: '', label: 'Choose a role' },
          ...offered.map(({ id, name, permissions }) => ({
            value: id,
            label: `${name} (${count(permissions.length, 'permission')})`,
          })),
        ],
      })}${submit('Give role', 'plain')}`,
    )
  }${beyond.length > 0 && html`<p class="help">Not offered, since you do not have all that they allow: ${beyond.join(', ')}.</p>`}</div>`
}`,
    { purpose: 'It gains and loses with them, as they change.' },
  )
}

function drawDirect(visit: OrganizationVisit, { account, permissions }: Known): Html {
  const defined = new Map(
    permissions.map((entry) => [
      pickValue({ resourceServerId: entry.resourceServerId, permission: entry.name }),
      entry,
    ]),
  )
  return section(
    'Direct permissions',
    html`${
      account.permissions.length === 0
        ? html`<p class="muted">It has none besides those of its roles.</p>`
        : list(
            visit,
            'Direct permissions',
            PERMISSION_COLUMNS,
            account.permissions.map((entry) => {
              const { resourceServerName, description } = defined.get(pickValue(entry)) ?? {}
              return {
                thing: { kind: 'permission', ...entry },
                cells: [html`<code>${entry.permission}</code>`, resourceServerName, description],
              }
            }),
          )
    }
${may(visit, 'service_accounts:manage') && html`<p class="below">${linkButton('Give permissions…', `${visit.path}/give`, 'plain')}</p>`}`,
    { purpose: 'Single ones, for what no role fits.' },
  )
}

const PERMISSION_COLUMNS = [{ title: 'Permission' }, { title: 'At' }, { title: 'What it allows' }]

function drawGroups(visit: OrganizationVisit, draft: Draft, known: Known): Html {
  const { account, offered, judge } = known
  const { groups, hasMore } = offered ?? { groups: [], hasMore: false }
  const { groupsAdministrator: all, groupAccess } = account
  const isEmpty = all === null && groupAccess.length === 0
  const rows = [
    ...(all === null
      ? []
      : [{ thing: { kind: 'groups' } as const, cells: [html`<b>All groups</b>, also those to come`, all] }]),
    ...groupAccess.map(({ groupId, access }) => ({
      thing: { kind: 'group', id: groupId } as const,
      cells: [drawGroup(visit, groups, groupId), access],
    })),
  ]
  const mayGiveAll = judge.groupsAdministrator('viewer')
  const givable = groups.filter(({ id }) => judge.groupAccess({ groupId: id, access: 'viewer' }))
  const mayGive = givable.length > 0 || mayGiveAll || hasMore
  return section(
    'Groups',
    html`${isEmpty ? html`<p class="muted">It reaches no group.</p>` : list(visit, 'Groups', [{ title: 'Group' }, { title: 'Access' }], rows)}
${may(visit, 'service_accounts:manage') && html`<div class="below">${mayGive ? giveForm(visit, groupFields(draft, givable, { mayGiveAll, hasMore })) : html`<p class="help">${offered !== undefined ? 'You reach no group yourself, so you can give none.' : 'You may not see which groups there are.'}</p>`}</div>`}`,
    {
      purpose: 'Viewer or manager of groups, as resource servers understand it. A manager is a viewer, too.',
    },
  )
}

function groupFields(
  draft: Draft,
  groups: readonly GroupRow[],
  { mayGiveAll, hasMore }: { mayGiveAll: boolean; hasMore: boolean },
): Html {
  return html`${selectField(draft, {
    name: 'group_id',
    label: 'Group',
    options: [
      { value: '', label: 'Choose a group' },
      ...(mayGiveAll ? [{ value: ALL_GROUPS, label: 'All groups, also those to come' }] : []),
      ...groups.map(({ id, name }) => ({ value: id, label: name })),
    ],
  })}${hasMore && otherGroupField(draft)}${selectField(draft, {
    name: 'access',
    label: 'Access',
    options: [
      { value: 'viewer', label: 'Viewer' },
      { value: 'manager', label: 'Manager' },
    ],
  })}${submit('Give access', 'plain')}`
}

function drawGroup({ home }: OrganizationVisit, groups: readonly GroupRow[], id: string): Html {
  const group = groups.find((each) => each.id === id)
  return group === undefined
    ? html`<code>${id}</code>`
    : html`<a href="${home}/groups/${id}">${group.name}</a>`
}

function drawDelegation(visit: OrganizationVisit, { account, permissions }: Known): Html {
  const { delegation } = account
  const canManage = may(visit, 'service_accounts:manage')
  const nameOf = (id: string) =>
    permissions.find((entry) => entry.resourceServerId === id)?.resourceServerName
  return section(
    'Acting for end users',
    html`${
      delegation === null
        ? html`<p class="muted">It acts for nobody but itself.</p>`
        : html`${list(
            visit,
            'For whom it may act',
            [{ title: 'End users' }, { title: 'Which' }],
            delegation.subjects.map((subject) => ({
              thing: { kind: 'subject', subject },
              cells: [
                html`<code>${subject}</code>`,
                subject.endsWith('*') ? 'all that begin so' : 'this one',
              ],
            })),
          )}<div class="below-table">${list(
            visit,
            'What it may do for them',
            [{ title: 'For them it may' }, { title: 'At' }],
            delegation.permissions.map((entry) => ({
              thing: { kind: 'lent', ...entry },
              cells: [html`<code>${entry.permission}</code>`, nameOf(entry.resourceServerId)],
            })),
          )}</div>`
    }
${
  canManage &&
  html`<div class="button-row below">${linkButton(delegation === null ? 'Let it act for end users…' : 'Add end users or permissions…', `${visit.path}/delegate`, 'plain')}${delegation !== null && linkButton('Take the delegation…', takePath(visit, { kind: 'delegation' }), 'danger')}</div>`
}`,
    { purpose: 'Tokens in the name of a user, good for what is lent here and the account has itself.' },
  )
}

function drawEffective(visit: OrganizationVisit, { items, nextCursor }: Listing<ExplainedPermission>): Html {
  return section(
    'All that it may do, and why',
    items.length === 0 && nextCursor === null
      ? html`<p class="muted">Nothing yet: give it a role, or a permission of its own. Its tokens would be good for nothing, so it gets none.</p>`
      : html`${effectivePermissionsTable(visit, items)}
${paging(visit, nextCursor)}`,
  )
}

/** A table of things that can be taken one by one. */
function list(
  visit: OrganizationVisit,
  label: string,
  columns: readonly Column[],
  rows: readonly { thing: Thing; cells: readonly Content[] }[],
): Html {
  const canTake = may(visit, 'service_accounts:manage')
  return table({
    label,
    columns: [...columns, ...(canTake ? [{ title: 'Take', kind: 'action' } as const] : [])],
    rows: rows.map(({ thing, cells }) => [
      ...cells,
      ...(canTake ? [linkButton('Take…', takePath(visit, thing), 'plain')] : []),
    ]),
  })
}

function takePath(visit: OrganizationVisit, thing: Thing): string {
  return `${permissionsOf(visit)}/take?${new URLSearchParams({ thing: thingValue(thing) })}`
}

function giveForm({ path, formToken }: OrganizationVisit, content: Html): Html {
  return html`<div class="give">${form({ action: path, formToken, content })}</div>`
}

/** One of a list; what was not offered is a fault, and whether it may be given is for the rule to say. */
function picked(form: RegExp, required: string) {
  return ticked()
    .transform((values) => values[0] ?? '')
    .pipe(z.string().regex(form, required))
}
