import type { LiveToken } from '../../database/queries/grant-records.ts'
import { listTokens } from '../../directory/issued-tokens.ts'
import type { Listing } from '../../directory/pages.ts'
import { type AccountHealth, getAccountHealth, UNUSED_DAYS } from '../../directory/service-account-health.ts'
import type { ServiceAccountPatch } from '../../directory/service-accounts.ts'
import { getTokenStatistics, type TokenStatistics } from '../../directory/token-statistics.ts'
import { type Html, html, NOTHING } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { endings, TOKENS_END } from '../parts/endings.ts'
import { facts } from '../parts/facts.ts'
import { liveTokensOn } from '../parts/live-tokens.ts'
import { linkButton, section } from '../parts/page-header.ts'
import { PAGE_SIZE } from '../parts/paging.ts'
import { badge, badges } from '../parts/state.ts'
import { count, relativeTime, time } from '../parts/time.ts'
import { tokenChart } from '../parts/token-chart.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { drawMark } from './service-accounts.ts'

/** The account in the path, as the directory names it. */
export function accountPath({ organization, params }: OrganizationVisit): {
  organizationId: string
  accountId: string
} {
  return { organizationId: organization.id, accountId: params.acc as string }
}

/** Where the page of the account's permissions is. */
export function permissionsOf({ home, params }: OrganizationVisit): string {
  return `${home}/service-accounts/${params.acc}/permissions`
}

/** A change that leaves everything as it is; a screen says what shall differ. */
export const NO_ACCESS_CHANGE: ServiceAccountPatch = {
  name: undefined,
  description: undefined,
  ownerContact: undefined,
  status: undefined,
  access: {
    permissions: undefined,
    roleIds: undefined,
    groupAccess: undefined,
    groupsAdministrator: undefined,
    delegation: undefined,
  },
  assertionPolicy: {},
  tokenRequestsPerMinute: undefined,
}

/** One service account: what it is, how it stands, and what can be done with it. */
export async function showServiceAccount(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  const [health, live, statistics] = await Promise.all([
    getAccountHealth(services, actor, accountPath(visit)),
    listTokens(services, actor, accountPath(visit), { limit: PAGE_SIZE, cursor: undefined }),
    getTokenStatistics(services, actor, accountPath(visit)),
  ])
  const { account } = health
  const here = `${home}/service-accounts/${account.id}`
  const canManage = may(visit, 'service_accounts:manage')
  const path = `/organizations/${organization.id}/service-accounts/${account.id}`
  return {
    page: {
      title: account.name,
      content: html`${accountHeader(visit, account, 'Overview')}
${canManage && drawNextSteps(visit, health, here)}
${drawFacts(visit, health, live)}
${drawTokens(statistics, here)}
${canManage && endings(visit, { here, isDisabled: account.status === 'disabled', purpose: TOKENS_END })}
${apiDisclosure(services.issuer, [
  { title: 'This account', method: 'GET', path },
  { title: 'Disable it', method: 'PATCH', path, body: { status: 'disabled' } },
  { title: 'Delete it', method: 'DELETE', path },
])}`,
    },
  }
}

/** What is missing for the account to work, or wants a look, with the way to it. */
function drawNextSteps(visit: OrganizationVisit, health: AccountHealth, here: string): Html {
  const steps = findNextSteps(health, visit.now)
  if (steps.length === 0) return NOTHING
  return html`<h2 class="next-title" id="next">What to do next</h2><ul class="next" aria-labelledby="next">${steps.map(
    ({ text, act, path }) => html`<li><span>${text}</span>${linkButton(act, `${here}${path}`, 'plain')}</li>`,
  )}</ul>`
}

function findNextSteps({ account, keys, roles, marks }: AccountHealth, now: number) {
  const hasNothing = roles.length === 0 && account.permissions.length === 0
  const inDays = keys.nextExpiry === null ? '' : relativeTime(keys.nextExpiry.getTime(), now)
  return [
    ...(hasNothing
      ? [
          {
            text: 'It may do nothing yet. Give it the least that it needs.',
            act: 'Give access',
            path: '/permissions',
          },
        ]
      : []),
    ...(keys.present === 0
      ? [{ text: 'It has no key, so it cannot get tokens.', act: 'New key', path: '/keys/new' }]
      : []),
    ...(marks.includes('expiring')
      ? [
          {
            text: `A key of it expires ${inDays}. Make its successor before.`,
            act: 'See keys',
            path: '/keys',
          },
        ]
      : []),
    ...(marks.includes('unused')
      ? [
          {
            text: `Nobody has used it for ${UNUSED_DAYS} days. What nobody needs is safer disabled.`,
            act: 'Disable…',
            path: '/disable',
          },
        ]
      : []),
    ...(marks.includes('no_owner')
      ? [
          {
            text: 'Nobody is responsible for it. Say whom to ask about it.',
            act: 'Name an owner',
            path: '/edit',
          },
        ]
      : []),
  ]
}

function drawTokens(statistics: TokenStatistics, here: string): Html {
  const total = statistics.keys.reduce((all, key) => all + key.total, 0)
  const none = statistics.isComplete
    ? 'None in the last 30 days.'
    : 'None on those of the last 30 days that were counted. Records of the others were gone before.'
  return section(
    'Tokens issued',
    total === 0 ? html`<p class="muted">${none}</p>` : tokenChart(statistics, `${here}/keys`),
    total === 0
      ? {}
      : {
          purpose: `${total.toLocaleString('en-GB')} ${statistics.isComplete ? 'in the last 30 days' : 'on the counted ones of the last 30 days'}, by the key that got them.`,
        },
  )
}

function drawFacts({ now, home }: OrganizationVisit, health: AccountHealth, live: Listing<LiveToken>): Html {
  const { account, keys, marks } = health
  const others = marks.filter((mark) => mark !== 'disabled')
  const here = `${home}/service-accounts/${account.id}`
  return facts([
    [
      'State',
      badges([
        account.status === 'active' ? badge('good', 'active') : badge('off', account.status),
        ...others.map((mark) => drawMark(mark, health, now)),
      ]),
    ],
    ['Id', copyable(account.id, { label: 'the id' })],
    ['Email', copyable(account.email, { label: 'the email' })],
    [
      'Owner',
      account.ownerContact ?? html`<span class="muted">Nobody is responsible for this account yet.</span>`,
    ],
    ['Access', html`<a href="${here}/permissions">${describeAccess(health)}</a>`],
    ['Keys', html`<a href="${here}/keys">${describeKeys(keys)}</a>`],
    ['Tokens', html`<a href="${here}/tokens">${liveTokensOn(live)}</a>`],
    ['Last use', time(account.lastUsedAt, now, 'This account has never been used.')],
    ['Created', time(account.createdAt, now)],
  ])
}

/** Roles by name, and how much there is besides. */
function describeAccess({ account, roles }: AccountHealth): string {
  const { permissions, groupAccess, groupsAdministrator, delegation } = account
  const parts = [
    ...roles.map(({ name }) => name),
    ...(permissions.length > 0 ? [count(permissions.length, 'direct permission')] : []),
    ...(groupsAdministrator === null ? [] : [`${groupsAdministrator} of all groups`]),
    ...(groupAccess.length > 0 ? [count(groupAccess.length, 'group')] : []),
    ...(delegation === null ? [] : ['acts for end users']),
  ]
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function describeKeys({ present, active }: AccountHealth['keys']): string {
  return present === active ? count(active, 'key') : `${count(present, 'key')}, ${active} active`
}
