import { type KeySummary, listRoleNames, summarizeKeys } from '../database/queries/account-health.ts'
import type { ServiceAccount } from '../database/queries/accounts.ts'
import { countLiveTokens, type LiveTokenCount } from '../database/queries/grant-records.ts'
import type { Actor } from './actor.ts'
import type { Listing, PageRequest } from './pages.ts'
import { type AccountPath, getServiceAccount } from './service-account-reach.ts'
import { listServiceAccounts, type Review } from './service-accounts.ts'
import type { DirectoryServices } from './services.ts'

/** From when on somebody should look at an account. */
export const UNUSED_DAYS = 90
export const EXPIRING_DAYS = 14

const DAY_MILLISECONDS = 86_400_000

/** What somebody should look at. */
export type HealthMark = 'disabled' | 'unused' | 'expiring' | 'no_owner'

export type AccountHealth = {
  account: ServiceAccount
  keys: Omit<KeySummary, 'accountId'>
  roles: readonly { id: string; name: string }[]
  marks: readonly HealthMark[]
}

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** The list of an organization's service accounts with how they stand. Throws Refusal `resource_not_found`. */
export async function listAccountHealth(
  services: Services,
  actor: Actor,
  organizationId: string,
  review: Review,
  request: PageRequest,
): Promise<Listing<AccountHealth>> {
  const listing = await listServiceAccounts(services, actor, organizationId, review, request)
  return { ...listing, items: await addHealth(services, listing.items) }
}

/** One account with how it stands. Throws Refusal `resource_not_found`. */
export async function getAccountHealth(
  services: Services,
  actor: Actor,
  path: AccountPath,
): Promise<AccountHealth> {
  const { account } = await getServiceAccount(services.db, actor, path)
  const [health] = await addHealth(services, [account])
  return health as AccountHealth
}

/** What would stop with an account, or with one of its keys: live tokens, and from how many addresses they were got. */
export async function getLiveTokenCount(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  keyId?: string,
): Promise<LiveTokenCount> {
  const { account } = await getServiceAccount(db, actor, path)
  return countLiveTokens(db, account.id, clock.now(), keyId)
}

async function addHealth(
  { db, clock }: Services,
  accounts: readonly ServiceAccount[],
): Promise<AccountHealth[]> {
  const now = clock.now()
  const roleIds = [...new Set(accounts.flatMap((account) => account.roleIds))]
  const ids = accounts.map((account) => account.id)
  const [summaries, roles] = await Promise.all([
    summarizeKeys(db, ids, new Date(now)),
    listRoleNames(db, roleIds),
  ])
  return accounts.map((account) => {
    const keys = summaries.find(({ accountId }) => accountId === account.id) ?? NO_KEYS
    return {
      account,
      keys,
      roles: roles.filter(({ id }) => account.roleIds.includes(id)),
      marks: marksOf(account, keys, now),
    }
  })
}

const NO_KEYS = { present: 0, active: 0, nextExpiry: null }

/** The same conditions as those of a review, so that a filter shows what bears the mark. `now` in milliseconds. Pure. */
export function marksOf(
  account: Pick<ServiceAccount, 'status' | 'createdAt' | 'lastUsedAt' | 'ownerContact'>,
  keys: Pick<KeySummary, 'nextExpiry'>,
  now: number,
): HealthMark[] {
  const unusedSince = now - UNUSED_DAYS * DAY_MILLISECONDS
  const lastUsed = account.lastUsedAt?.getTime() ?? 0
  const isUnused = account.createdAt.getTime() < unusedSince && lastUsed < unusedSince
  const isExpiring =
    keys.nextExpiry !== null && keys.nextExpiry.getTime() <= now + EXPIRING_DAYS * DAY_MILLISECONDS
  return [
    ...(account.status === 'disabled' ? (['disabled'] as const) : []),
    ...(isUnused ? (['unused'] as const) : []),
    ...(isExpiring ? (['expiring'] as const) : []),
    ...(account.ownerContact === null ? (['no_owner'] as const) : []),
  ]
}
