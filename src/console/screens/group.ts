import type { GroupRow } from '../../database/tables.ts'
import { type GroupPath, getGroup, deleteGroup as remove } from '../../directory/groups.ts'
import {
  countGroupAccess,
  type GroupHolder,
  type HolderCounts,
  listGroupMembers,
  listGroupsAdministrators,
} from '../../directory/holders.ts'
import type { Listing } from '../../directory/pages.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { dangerPage } from '../parts/danger.ts'
import { facts } from '../parts/facts.ts'
import { countHolders, holdersTable, unreadable, verb } from '../parts/holders.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { PAGE_SIZE, pageOf, paging } from '../parts/paging.ts'
import { count, time } from '../parts/time.ts'
import { trailFact } from '../parts/trail-links.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'

type Counts = { viewer: number; manager: number }

/** The group in the path, as the directory names it. */
export function groupPath({ organization, params }: OrganizationVisit): GroupPath {
  return { organizationId: organization.id, groupId: params.grp as string }
}

/** One group: who reaches it, by name and as a groups administrator. */
export async function showGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const group = await getGroup(services, actor, groupPath(visit))
  const [access, members, everywhere] = await Promise.all([
    countGroupAccess(services, [group.id]),
    listGroupMembers(services, actor, groupPath(visit), pageOf(visit)),
    listGroupsAdministrators(services, actor, organization.id, { limit: PAGE_SIZE, cursor: undefined }),
  ])
  const here = `${home}/groups/${group.id}`
  const canManage = may(visit, 'groups:manage')
  const path = `/organizations/${organization.id}/groups/${group.id}`
  return {
    page: {
      title: group.name,
      content: html`${pageHeader({
        title: group.name,
        purpose: group.description === '' ? 'Nobody has said yet what this group is.' : group.description,
        action: canManage ? linkButton('Edit', `${here}/edit`, 'plain') : undefined,
        above: { label: 'Groups', to: `${home}/groups` },
      })}
${drawFacts(visit, group, access(group.id))}
${drawMembers(visit, access(group.id), members)}
${drawAdministrators(visit, everywhere)}
${
  canManage &&
  section(
    'Delete',
    html`<div class="button-row">${linkButton('Delete…', `${here}/delete`, 'danger')}</div>`,
    { purpose: 'Whoever has access by name loses it at once.' },
  )
}
${apiDisclosure(services.issuer, [
  { title: 'This group', method: 'GET', path },
  { title: 'Rename it', method: 'PATCH', path, body: { name: group.name } },
  { title: 'Delete it', method: 'DELETE', path },
])}`,
    },
  }
}

/** What a deletion takes from whom, in figures. */
export async function askToDeleteGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, formToken } = visit
  const group = await getGroup(services, actor, groupPath(visit))
  const [access, everywhere] = await Promise.all([
    countGroupAccess(services, [group.id]),
    listGroupsAdministrators(services, actor, organization.id, { limit: 1, cursor: undefined }),
  ])
  const counts = access(group.id)
  const here = `${home}/groups/${group.id}`
  const named = counts.viewer + counts.manager
  return {
    page: {
      title: 'Delete group',
      content: dangerPage({
        title: html`Delete the group ${group.name}?`,
        consequences: [
          named === 0
            ? 'No account has access to it by name.'
            : `${count(named, 'account')} ${named === 1 ? 'loses its' : 'lose their'} access: ${inWords(counts)}. The audit trail has an entry for each.`,
          ...drawEverywhere(everywhere.counts),
          'Introspection names it no more. JWTs with the scope «groups» name it until they expire.',
          'It cannot be brought back: a new group of the same name has another id.',
        ],
        act: 'Delete group',
        action: `${here}/delete`,
        formToken,
        back: { label: 'Keep it', to: here },
      }),
    },
  }
}

export async function deleteGroup(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, home } = visit
  const { name } = await getGroup(services, actor, groupPath(visit))
  await remove(services, actor, groupPath(visit))
  return { to: `${home}/groups`, done: `The group ${name} is deleted.` }
}

function drawFacts(visit: OrganizationVisit, group: GroupRow, counts: Counts): Html {
  const { now } = visit
  return facts([
    ['Id', copyable(group.id, { label: 'the id' })],
    ['Access by name', counts.viewer + counts.manager === 0 ? 'nobody' : inWords(counts)],
    ['Created', time(group.createdAt, now)],
    ['Changed', time(group.updatedAt, now)],
    ...trailFact(visit, group.id),
  ])
}

function drawMembers(
  visit: OrganizationVisit,
  counts: Counts,
  { items, nextCursor }: Listing<GroupHolder>,
): Html {
  const isNobody = counts.viewer + counts.manager === 0
  const maySeeAll = may(visit, 'service_accounts:read') && may(visit, 'administrators:read')
  return section(
    'Access by name',
    html`${
      isNobody
        ? html`<p class="muted">Nobody yet. Give access on the page of a service account or an administrator.</p>`
        : items.length > 0 && holdersTable(visit, 'Access by name', items)
    }
${!isNobody && !maySeeAll && html`<p class="muted">You see those accounts alone that you may read.</p>`}
${paging(visit, nextCursor)}`,
    { purpose: 'A manager is also a viewer. What either may do is for each resource server to decide.' },
  )
}

function drawAdministrators(
  visit: OrganizationVisit,
  { items, nextCursor, counts }: Listing<GroupHolder> & { counts: HolderCounts },
): Html {
  const isNobody = counts.serviceAccounts + counts.administrators === 0
  return section(
    'Groups administrators',
    html`${isNobody ? html`<p class="muted">There are none.</p>` : items.length > 0 && holdersTable(visit, 'Groups administrators', items)}
${unreadable(visit, counts)}
${nextCursor !== null && html`<p class="muted">These are the newest ${items.length}.</p>`}`,
    { purpose: 'They reach all groups of the organization, also this one and those to come.' },
  )
}

/** Such as «3 viewers and 1 manager». */
function inWords({ viewer, manager }: Counts): string {
  return [
    ...(viewer > 0 ? [count(viewer, 'viewer')] : []),
    ...(manager > 0 ? [count(manager, 'manager')] : []),
  ].join(' and ')
}

function drawEverywhere(counts: HolderCounts): string[] {
  const words = countHolders(counts, '')
  if (words === '') return []
  return [
    `${words} ${verb(counts, 'reaches', 'reach')} it as groups administrator, and ${verb(counts, 'keeps', 'keep')} the other groups.`,
  ]
}
