import type { ServiceAccount } from '../../database/queries/accounts.ts'
import { type Html, html } from '../html.ts'
import { may, type OrganizationVisit } from '../visit.ts'
import { WRENCH } from './icons.ts'
import { linkButton, pageHeader } from './page-header.ts'
import { tabs } from './tabs.ts'

/** The pages of one service account, in the order of their tabs; `path` is below the account's own. */
const PAGES = [
  { label: 'Overview', path: '', permission: 'service_accounts:read' },
  { label: 'Permissions', path: '/permissions', permission: 'service_accounts:read' },
  { label: 'Keys', path: '/keys', permission: 'service_accounts:read' },
  { label: 'Tokens', path: '/tokens', permission: 'service_accounts:read' },
  { label: 'Audit', path: '/audit', permission: 'audit:read' },
] as const

type AccountPage = (typeof PAGES)[number]['label']

/** What every page of a service account begins with: whose page it is, and the way to the others. */
export function accountHeader(
  visit: OrganizationVisit,
  account: Pick<ServiceAccount, 'id' | 'name' | 'description'>,
  current: AccountPage,
  action?: Html,
): Html {
  const here = `${visit.home}/service-accounts/${account.id}`
  const edit = may(visit, 'service_accounts:manage') ? linkButton('Edit', `${here}/edit`, 'plain') : undefined
  return html`${pageHeader({
    title: html`${WRENCH}${account.name}`,
    purpose: account.description === '' ? 'Nobody has said yet what this is for.' : account.description,
    action: action ?? edit,
    above: { label: 'Service accounts', to: `${visit.home}/service-accounts` },
  })}
${tabs(
  account.name,
  PAGES.filter(({ permission }) => may(visit, permission)).map(({ label, path }) => ({
    label,
    to: `${here}${path}`,
    isCurrent: label === current,
  })),
)}`
}
