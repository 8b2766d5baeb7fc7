import type { Trx } from '../database/connect.ts'
import type { Access } from '../database/queries/access.ts'
import {
  type AccountChanges,
  findServiceAccount,
  lockAccount,
  listServiceAccounts as queryServiceAccounts,
  type ReviewFilter,
  type ServiceAccount,
  updateAccount,
} from '../database/queries/accounts.ts'
import { revokeKeys } from '../database/queries/keys.ts'
import type { AssertionPolicy } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import {
  type AccessPatch,
  accessFacts,
  assertBounded,
  mayCostOwner,
  NO_ACCESS,
  normalizeAccess,
  patchAccess,
  replaceAccess,
} from './access.ts'
import type { Actor } from './actor.ts'
import { type AuditAction, changesBetween, recordChanges } from './audit.ts'
import { assertMayMakeKey } from './granting.ts'
import { accountFacts, requireCoherent } from './new-service-account.ts'
import { keepingAnOwner } from './ownership.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization, requireFound } from './reach.ts'
import { type AccountPath, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** What can be asked of an account that exists; `undefined` and policy members not named stay as they are. */
export type ServiceAccountPatch = {
  name: string | undefined
  description: string | undefined
  ownerContact: string | null | undefined
  status: 'active' | 'disabled' | undefined
  access: AccessPatch
  assertionPolicy: Partial<AssertionPolicy>
  tokenRequestsPerMinute: number | null | undefined
}

/** What a review of accounts looks for: conditions that are given must all hold. */
export type Review = {
  unusedForDays: number | undefined
  keysExpiringWithinDays: number | undefined
  withoutOwner: boolean
  /** Part of the name, the address, the description or the owner's contact, in any case; or the whole id. */
  search: string | undefined
  status: 'active' | 'disabled' | undefined
}

const DAY_MILLISECONDS = 86_400_000

/** An organization's service accounts, newest first. Throws Refusal `resource_not_found`. */
export async function listServiceAccounts(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  organizationId: string,
  review: Review,
  request: PageRequest,
): Promise<Listing<ServiceAccount>> {
  const organization = await getOrganization(db, actor, organizationId)
  const filter = toReviewFilter(review, clock.now())
  return readPage(request, (page) => queryServiceAccounts(db, organization.id, filter, page))
}

function toReviewFilter(review: Review, now: number): ReviewFilter {
  const { unusedForDays, keysExpiringWithinDays, withoutOwner, search, status } = review
  const inDays = (days: number) => new Date(now + days * DAY_MILLISECONDS)
  return {
    unusedSince: unusedForDays === undefined ? undefined : inDays(-unusedForDays),
    keyExpires:
      keysExpiringWithinDays === undefined
        ? undefined
        : { after: new Date(now), until: inDays(keysExpiringWithinDays) },
    withoutOwner,
    search,
    status,
  }
}

/**
 * Gives an account something, or takes something from it, and leaves the rest as it is at that moment: `change` is told
 * what it has, under the lock, so that nothing is lost which somebody else gave meanwhile.
 * Throws Refusal `resource_not_found`, `permission_not_held`, `input_invalid` or `last_owner`.
 */
export async function changeAccess(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  change: (held: Access) => Partial<AccessPatch>,
): Promise<ServiceAccount> {
  return transact(db, async (trx) => {
    const organization = await getOrganization(trx, actor, path.organizationId)
    return keepingAnOwner(trx, organization, async () => {
      const { account } = await lockServiceAccount(trx, actor, path)
      const asked = patchAccess(account, { ...NO_ACCESS_PATCH, ...change(accessFacts(account)) })
      assertBounded(asked)
      const after = { ...account, ...normalizeAccess(asked) }
      return storeChanges(trx, actor, account, { asked, after, now: clock.now() })
    })
  })
}

const NO_ACCESS_PATCH: AccessPatch = {
  permissions: undefined,
  roleIds: undefined,
  groupAccess: undefined,
  groupsAdministrator: undefined,
  delegation: undefined,
}

/**
 * Changes an account. Disabling ends all its tokens before this returns (promise 1). What is given must be
 * the actor's to give, and to enable it or to change how its assertions are judged is like making a key (promise 8);
 * taking away needs no more than being here.
 * Throws Refusal `resource_not_found`, `permission_not_held`, `input_invalid` or `last_owner`.
 */
export async function updateServiceAccount(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  patch: ServiceAccountPatch,
): Promise<ServiceAccount> {
  const run = patch.status === 'disabled' ? transactEnding : transact
  return run(db, async (trx) => {
    const change = async () => {
      const { account } = await lockServiceAccount(trx, actor, path)
      const asked = patchAccess(account, patch.access)
      const after = applyPatch(account, patch, asked)
      return storeChanges(trx, actor, account, { asked, after, now: clock.now() })
    }
    if (!mayCostOwner(patch)) return change()
    return keepingAnOwner(trx, await getOrganization(trx, actor, path.organizationId), change)
  })
}

/**
 * Deletes an account for good: its keys are revoked, its access taken, its tokens ended before this returns. The
 * record stays for the trail. The second time nothing happens.
 * Throws Refusal `resource_not_found` or `last_owner`.
 */
export async function deleteServiceAccount(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  { organizationId, accountId }: AccountPath,
): Promise<void> {
  await transactEnding(db, async (trx) => {
    const now = clock.now()
    const organization = await getOrganization(trx, actor, organizationId)
    await keepingAnOwner(trx, organization, async () => {
      await lockAccount(trx, accountId)
      const account = requireFound(
        await findServiceAccount(trx, organization.id, accountId),
        'service account',
        accountId,
      )
      if (account.status === 'deleted') return
      await replaceAccess(trx, actor, account, NO_ACCESS)
      await updateAccount(trx, accountId, { status: 'deleted' }, { endTokens: true, now: new Date(now) })
      const keysRevoked = await revokeKeys(trx, accountId, new Date(now))
      const before = { status: account.status, ...accessFacts(account), keysRevoked: [] }
      await recordChanges(trx, actor, now, [
        {
          organizationId: organization.id,
          action: 'service_account.deleted',
          target: { id: accountId, kind: 'service_account', name: account.name },
          changes: changesBetween(before, { status: 'deleted', ...NO_ACCESS, keysRevoked }) ?? null,
        },
      ])
    })
  })
}

async function storeChanges(
  trx: Trx,
  actor: Actor,
  account: ServiceAccount,
  { asked, after, now }: { asked: Access; after: ServiceAccount; now: number },
): Promise<ServiceAccount> {
  const differences = changesBetween(accountFacts(account), accountFacts(after))
  if (differences === undefined) return account
  await replaceAccess(trx, actor, account, asked)
  if (isWayIn(account, after)) await assertMayMakeKey(trx, actor, account.id)
  const { id, organizationId, name, description, ownerContact, status, assertionPolicy } = after
  const { tokenRequestsPerMinute } = after
  const changes: AccountChanges = {
    name,
    description,
    ownerContact,
    status,
    assertionPolicy,
    tokenRequestsPerMinute,
  }
  const endTokens = account.status === 'active' && status === 'disabled'
  await updateAccount(trx, id, changes, { endTokens, now: new Date(now) })
  await recordChanges(trx, actor, now, [
    {
      organizationId,
      action: actionOf(account, after),
      target: { id, kind: 'service_account', name },
      changes: differences,
    },
  ])
  return requireFound(await findServiceAccount(trx, organizationId, id), 'service account', id)
}

/**
 * Whether a change lets somebody act as the account who could not before. To enable it gives all that it has to
 * whoever holds its keys; so may another policy, to whoever holds assertions that did not count so far: meant for
 * somebody else, used already, or of a longer life.
 */
function isWayIn(before: ServiceAccount, after: ServiceAccount): boolean {
  if (before.status !== 'active' && after.status === 'active') return true
  return changesBetween(before.assertionPolicy, after.assertionPolicy) !== undefined
}

function applyPatch(account: ServiceAccount, patch: ServiceAccountPatch, asked: Access): ServiceAccount {
  return {
    ...account,
    ...normalizeAccess(asked),
    name: patch.name ?? account.name,
    description: patch.description ?? account.description,
    ownerContact: patch.ownerContact === undefined ? account.ownerContact : patch.ownerContact,
    status: patch.status ?? account.status,
    assertionPolicy: requireCoherent({ ...account.assertionPolicy, ...patch.assertionPolicy }),
    tokenRequestsPerMinute:
      patch.tokenRequestsPerMinute === undefined
        ? account.tokenRequestsPerMinute
        : patch.tokenRequestsPerMinute,
  }
}

function actionOf(before: ServiceAccount, after: ServiceAccount): AuditAction {
  if (before.status === after.status) return 'service_account.updated'
  return after.status === 'active' ? 'service_account.enabled' : 'service_account.disabled'
}
