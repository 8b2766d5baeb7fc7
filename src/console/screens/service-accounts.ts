import {
  type AccountHealth,
  EXPIRING_DAYS,
  type HealthMark,
  listAccountHealth,
  UNUSED_DAYS,
} from '../../directory/service-account-health.ts'
import type { Review } from '../../directory/service-accounts.ts'
import { type Html, html, NOTHING } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { emptyState } from '../parts/empty.ts'
import { WRENCH } from '../parts/icons.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { badge, badges } from '../parts/state.ts'
import { table } from '../parts/table.ts'
import { count, relativeTime, time } from '../parts/time.ts'
import { readQuery } from '../query.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'

/** What can be looked at alone; the word stands in the address. */
const FILTERS = [
  { show: undefined, label: 'All' },
  { show: 'unused', label: 'Unused' },
  { show: 'expiring', label: 'Keys expiring' },
  { show: 'no-owner', label: 'No owner' },
  { show: 'disabled', label: 'Disabled' },
] as const

type Shown = (typeof FILTERS)[number]['show']
type Looking = { show: Shown; search: string | undefined }

/** The list of an organization's service accounts. */
export async function listServiceAccounts(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const looking = readLooking(visit)
  const page = pageOf(visit)
  const { items, nextCursor } = await listAccountHealth(
    services,
    actor,
    organization.id,
    toReview(looking),
    page,
  )
  const isFiltered = looking.show !== undefined || looking.search !== undefined
  const isEmpty = items.length === 0 && !isFiltered && page.cursor === undefined
  const canManage = may(visit, 'service_accounts:manage')
  return {
    page: {
      title: 'Service accounts',
      content: html`${pageHeader({
        title: 'Service accounts',
        purpose:
          'Programs that act without a person. Each has its own keys, and only the access that you give it.',
        action:
          canManage && !isEmpty
            ? linkButton('New service account', `${home}/service-accounts/new`)
            : undefined,
      })}
${
  isEmpty
    ? drawEmpty(visit)
    : html`${drawFilters(visit, looking)}
${items.length === 0 ? html`<p class="nothing">No service account fits. <a href="${visit.path}">Show all</a></p>` : drawTable(visit, items)}
${paging(visit, nextCursor)}`
}
${apiDisclosure(services.issuer, [{ title: 'This list', method: 'GET', path: apiPath(organization.id, looking) }])}`,
    },
  }
}

function readLooking({ query }: OrganizationVisit): Looking {
  const word = readQuery(query, 'show')
  return { show: FILTERS.find(({ show }) => show === word)?.show, search: readQuery(query, 'search') }
}

function toReview({ show, search }: Looking): Review {
  return {
    unusedForDays: show === 'unused' ? UNUSED_DAYS : undefined,
    keysExpiringWithinDays: show === 'expiring' ? EXPIRING_DAYS : undefined,
    withoutOwner: show === 'no-owner',
    search,
    status: show === 'disabled' ? 'disabled' : undefined,
  }
}

/** The same question to the API. */
function apiPath(organizationId: string, looking: Looking): string {
  const { unusedForDays, keysExpiringWithinDays, withoutOwner, search, status } = toReview(looking)
  const query = new URLSearchParams({
    ...(unusedForDays !== undefined && { unused_for_days: String(unusedForDays) }),
    ...(keysExpiringWithinDays !== undefined && {
      keys_expiring_within_days: String(keysExpiringWithinDays),
    }),
    ...(withoutOwner && { without_owner: 'true' }),
    ...(search !== undefined && { search }),
    ...(status !== undefined && { status }),
  })
  return `/organizations/${organizationId}/service-accounts${query.size === 0 ? '' : `?${query}`}`
}

function drawFilters({ path }: OrganizationVisit, { show, search }: Looking): Html {
  const linkTo = (word: Shown) => {
    const query = new URLSearchParams({ ...(word && { show: word }), ...(search && { search }) })
    return query.size === 0 ? path : `${path}?${query}`
  }
  return html`<div class="filters">
  <nav aria-label="Filter"><ul class="chips">${FILTERS.map(
    ({ show: word, label }) =>
      html`<li><a href="${linkTo(word)}"${word === show && html` aria-current="true"`}>${label}</a></li>`,
  )}</ul></nav>
  <form class="search" method="get" action="${path}" role="search">
    ${show !== undefined && html`<input type="hidden" name="show" value="${show}">`}
    <label class="hidden" for="search">Search service accounts</label>
    <input id="search" name="search" type="search" value="${search ?? ''}" placeholder="Name, address, owner, id" maxlength="100">
    <button class="button plain" type="submit">Search</button>
  </form>
</div>`
}

function drawTable({ home, now }: OrganizationVisit, items: readonly AccountHealth[]): Html {
  return table({
    label: 'Service accounts',
    columns: [
      { title: 'Name' },
      { title: 'Roles' },
      { title: 'Keys', kind: 'number' },
      { title: 'Last use' },
      { title: 'Health' },
    ],
    rows: items.map((item) => [
      html`<span class="named">${WRENCH}<a href="${home}/service-accounts/${item.account.id}">${item.account.name}</a></span>`,
      drawRoles(item),
      item.keys.active,
      time(item.account.lastUsedAt, now),
      badges(item.marks.map((mark) => drawMark(mark, item, now))),
    ]),
  })
}

function drawRoles({ roles, account }: AccountHealth): Html {
  if (roles.length > 0) return html`<span class="clip">${roles.map(({ name }) => name).join(', ')}</span>`
  return html`<span class="muted">${account.permissions.length === 0 ? 'none' : count(account.permissions.length, 'permission')}</span>`
}

/** A mark in a word, with what it means on hover. */
export function drawMark(mark: HealthMark, { keys }: Pick<AccountHealth, 'keys'>, now: number): Html {
  switch (mark) {
    case 'disabled':
      return badge('off', 'disabled')
    case 'unused':
      return badge('notice', `unused for ${UNUSED_DAYS} days`)
    case 'expiring':
      return keys.nextExpiry === null
        ? NOTHING
        : badge('notice', `key expires ${relativeTime(keys.nextExpiry.getTime(), now)}`)
    case 'no_owner':
      return badge('notice', 'no owner')
  }
}

function drawEmpty(visit: OrganizationVisit): Html {
  const { services, organization, home } = visit
  const canManage = may(visit, 'service_accounts:manage')
  return emptyState({
    title: 'No service accounts yet',
    text: html`A service account is for a program: a nightly export, a build, another product of yours. It gets a key instead of a password, and can do nothing until you give it a role. ${!canManage && 'You may look at them here, but not create them.'}`,
    action: canManage ? linkButton('New service account', `${home}/service-accounts/new`) : undefined,
    api: canManage
      ? {
          issuer: services.issuer,
          request: {
            method: 'POST',
            path: `/organizations/${organization.id}/service-accounts`,
            body: { name: 'Nightly export' },
          },
        }
      : undefined,
  })
}
