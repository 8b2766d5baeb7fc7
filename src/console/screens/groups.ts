import { listGroups as list } from '../../directory/groups.ts'
import { countGroupAccess, listGroupsAdministrators } from '../../directory/holders.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { emptyState } from '../parts/empty.ts'
import { countHolders, verb } from '../parts/holders.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { table } from '../parts/table.ts'
import { time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'

/** The groups of an organization, and how many accounts reach each. */
export async function listGroups(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, now } = visit
  const page = pageOf(visit)
  const { items, nextCursor } = await list(services, actor, organization.id, page)
  const ids = items.map(({ id }) => id)
  const [access, everywhere] = await Promise.all([
    countGroupAccess(services, ids),
    listGroupsAdministrators(services, actor, organization.id, { limit: 1, cursor: undefined }),
  ])
  const canManage = may(visit, 'groups:manage')
  const isEmpty = items.length === 0 && page.cursor === undefined
  return {
    page: {
      title: 'Groups',
      content: html`${pageHeader({
        title: 'Groups',
        purpose:
          'Parts of your organization, such as teams or customers. Accounts are viewer or manager of a group; resource servers are told, and decide by it.',
        action: canManage && !isEmpty ? linkButton('New group', `${home}/groups/new`) : undefined,
      })}
${
  isEmpty
    ? drawEmpty(visit)
    : html`${table({
        label: 'Groups',
        columns: [
          { title: 'Name' },
          { title: 'Description' },
          { title: 'Viewers', kind: 'number' },
          { title: 'Managers', kind: 'number' },
          { title: 'Created' },
        ],
        rows: items.map((group) => [
          html`<a href="${visit.path}/${group.id}">${group.name}</a>`,
          html`<span class="clip wide" title="${group.description}">${group.description}</span>`,
          access(group.id).viewer,
          access(group.id).manager,
          time(group.createdAt, now),
        ]),
      })}
<p class="muted below-table">Besides these, ${countHolders(everywhere.counts, 'nobody')} ${verb(everywhere.counts, 'reaches', 'reach')} all groups as groups administrator.</p>
${paging(visit, nextCursor)}`
}
${apiDisclosure(services.issuer, [
  { title: 'This list', method: 'GET', path: `/organizations/${organization.id}/groups` },
])}`,
    },
  }
}

function drawEmpty(visit: OrganizationVisit): Html {
  const { services, organization, home } = visit
  const canManage = may(visit, 'groups:manage')
  return emptyState({
    title: 'No groups yet',
    text: html`A permission says what an account may do; a group says for whom. Make one for each team or customer whose data your APIs keep apart, then make accounts viewer or manager of it. ${!canManage && 'You may look at groups here, but not create them.'}`,
    action: canManage ? linkButton('New group', `${home}/groups/new`) : undefined,
    api: canManage
      ? {
          issuer: services.issuer,
          request: {
            method: 'POST',
            path: `/organizations/${organization.id}/groups`,
            body: { name: 'Northern branch' },
          },
        }
      : undefined,
  })
}
