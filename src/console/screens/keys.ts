import type { KeyRow } from '../../database/tables.ts'
import { listKeys as list } from '../../directory/keys.ts'
import { getServiceAccount } from '../../directory/service-account-reach.ts'
import { type Html, html } from '../html.ts'
import { accountHeader } from '../parts/account-header.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable, shorten } from '../parts/copy.ts'
import { emptyState } from '../parts/empty.ts'
import { drawKeyState } from '../parts/key-state.ts'
import { linkButton } from '../parts/page-header.ts'
import { pageOf, paging } from '../parts/paging.ts'
import { table } from '../parts/table.ts'
import { time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Reply } from '../visit.ts'
import { accountPath } from './service-account.ts'

/** The keys of a service account: what it signs with, how each stands, when it was last used. */
export async function listKeys(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, now } = visit
  const path = accountPath(visit)
  const [{ account }, listing] = await Promise.all([
    getServiceAccount(services.db, actor, path),
    list(services, actor, path, { includeRevoked: false }, pageOf(visit)),
  ])
  const here = `${home}/service-accounts/${account.id}/keys`
  const canManage = may(visit, 'service_accounts:manage')
  const api = `/organizations/${organization.id}/service-accounts/${account.id}/keys`
  const create = { method: 'POST', path: api, body: { type: 'rsa', name: 'Production' } }
  const action = canManage ? linkButton('New key', `${here}/new`) : undefined
  return {
    page: {
      title: `Keys of ${account.name}`,
      content: html`${accountHeader(visit, account, 'Keys', action)}
${
  listing.items.length === 0
    ? emptyState({
        title: 'No keys yet',
        text: 'A key is how this account proves who it is. Without one it cannot act, whatever it may do.',
        action,
        api: { issuer: services.issuer, request: create },
      })
    : drawTable(listing.items, here, now)
}
${paging(visit, listing.nextCursor)}
${apiDisclosure(services.issuer, [
  { title: 'These keys', method: 'GET', path: api },
  { title: 'Make a key', ...create },
])}`,
    },
  }
}

/** What kind of key it is, in words. */
export function describeType(key: KeyRow): string {
  switch (key.type) {
    case 'api_token':
      return 'API token'
    case 'rsa':
      return `${key.algorithm}, ${key.modulusLength} bits, generated here`
    case 'public_key':
      return `${key.algorithm}${key.modulusLength === null ? '' : `, ${key.modulusLength} bits`}, registered`
  }
}

function drawTable(keys: readonly KeyRow[], here: string, now: number): Html {
  return table({
    label: 'Keys',
    columns: [
      { title: 'Name' },
      { title: 'Type' },
      { title: 'Known as' },
      { title: 'State' },
      { title: 'Expires' },
      { title: 'Last use' },
    ],
    rows: keys.map((key) => [
      html`<a href="${here}/${key.id}">${key.name}</a>`,
      key.type === 'api_token' ? 'API token' : key.algorithm,
      key.type === 'api_token'
        ? html`<code>${key.obfuscatedToken}</code>`
        : copyable(key.kid ?? key.id, { label: 'the key id', shown: shorten(key.kid ?? key.id) }),
      drawKeyState(key, now),
      time(key.expiresAt, now),
      time(key.lastUsedAt, now),
    ]),
  })
}
