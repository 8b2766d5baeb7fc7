import { type AccountHealth, getAccountHealth } from '../../directory/service-account-health.ts'
import type { ServiceAccountPatch } from '../../directory/service-accounts.ts'
import { type Html, html } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { facts } from '../parts/facts.ts'
import { form, submit } from '../parts/form.ts'
import { linkButton, section } from '../parts/page-header.ts'
import { badge, badges } from '../parts/state.ts'
import { count, time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { drawMark } from './service-accounts.ts'

/** The account in the path, as the directory names it. */
export function accountPath({ organization, params }: OrganizationVisit): {
  organizationId: string
  accountId: string
} {
  return { organizationId: organization.id, accountId: params.acc as string }
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
  const health = await getAccountHealth(services, actor, accountPath(visit))
  const { account } = health
  const here = `${home}/service-accounts/${account.id}`
  const canManage = may(visit, 'service_accounts:manage')
  const path = `/organizations/${organization.id}/service-accounts/${account.id}`
  return {
    page: {
      title: account.name,
      content: html`${accountHeader(visit, account, 'Overview')}
${drawFacts(visit, health)}
${canManage && drawActs(visit, health, here)}
${apiDisclosure(services.issuer, [
  { title: 'This account', method: 'GET', path },
  { title: 'Disable it', method: 'PATCH', path, body: { status: 'disabled' } },
  { title: 'Delete it', method: 'DELETE', path },
])}`,
    },
  }
}

function drawFacts({ now }: OrganizationVisit, health: AccountHealth): Html {
  const { account, keys, roles, marks } = health
  const others = marks.filter((mark) => mark !== 'disabled')
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
    [
      'Roles',
      roles.length === 0 ? html`<span class="muted">none</span>` : roles.map(({ name }) => name).join(', '),
    ],
    [
      'Keys',
      keys.present === keys.active
        ? count(keys.active, 'key')
        : `${count(keys.present, 'key')}, ${keys.active} active`,
    ],
    ['Last use', time(account.lastUsedAt, now, 'This account has never been used.')],
    ['Created', time(account.createdAt, now)],
  ])
}

function drawActs({ formToken }: OrganizationVisit, { account }: AccountHealth, here: string): Html {
  const disable =
    account.status === 'active'
      ? linkButton('Disable…', `${here}/disable`, 'plain')
      : form({ action: `${here}/enable`, formToken, isInline: true, content: submit('Enable', 'plain') })
  return section(
    'Disable or delete',
    html`<div class="button-row">${disable}${linkButton('Delete…', `${here}/delete`, 'danger')}</div>`,
    { purpose: 'Disabling can be undone, though live tokens end for good. Deleting cannot.' },
  )
}
