import type { Trx } from '../database/connect.ts'
import type { Access } from '../database/queries/access.ts'
import {
  type AccountChanges,
  findServiceAccount,
  findServiceAccountBySlug,
  insertServiceAccount,
  lockAccount,
  type NewServiceAccount,
  listServiceAccounts as queryServiceAccounts,
  type ReviewFilter,
  type ServiceAccount,
  updateAccount,
} from '../database/queries/accounts.ts'
import { revokeKeys } from '../database/queries/keys.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import type { AssertionPolicy, KeyRow } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { emailOf, newId } from '../ids.ts'
import {
  type AccessPatch,
  mayCostOwner,
  NO_ACCESS,
  normalizeAccess,
  patchAccess,
  replaceAccess,
} from './access.ts'
import { type Actor, creatorOf } from './actor.ts'
import { type AuditAction, changesBetween, createdAs, recordChanges } from './audit.ts'
import { DEFAULT_ASSERTION_POLICY } from './defaults.ts'
import { assertMayMakeKey } from './granting.ts'
import { storeKey } from './new-key.ts'
import { keepingAnOwner } from './ownership.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { type KeyRequest, type KeySecret, type PreparedKey, prepareKey } from './prepared-key.ts'
import { getOrganization, requireFound, requireReachable } from './reach.ts'
import { type AccountPath, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'
import { slugFromName, withSuffix } from './slugs.ts'

export type ServiceAccountRequest = {
  name: string
  /** Made from the name when undefined. */
  slug: string | undefined
  description: string
  ownerContact: string | null
  access: AccessPatch
  assertionPolicy: Partial<AssertionPolicy>
  /** null: as the organization says. */
  tokenRequestsPerMinute: number | null
  initialKey: KeyRequest | undefined
}

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

export type CreatedServiceAccount = {
  account: ServiceAccount
  initialKey: { key: KeyRow; secret: KeySecret | undefined } | undefined
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
 * Creates an account that may do what the request lists and no more: nothing, if it lists nothing. With its
 * first key if one is asked for: both or neither.
 * Throws Refusal `resource_not_found`, `slug_taken`, `permission_not_held`, `input_invalid`, and what
 * `prepareKey` and `storeKey` throw.
 */
export async function createServiceAccount(
  services: DirectoryServices,
  actor: Actor,
  organizationId: string,
  request: ServiceAccountRequest,
): Promise<CreatedServiceAccount> {
  const organization = await getOrganization(services.db, actor, organizationId)
  const now = services.clock.now()
  const assertionPolicy = requireCoherent({ ...DEFAULT_ASSERTION_POLICY, ...request.assertionPolicy })
  const slug = request.slug ?? (await freeSlug(services, organization.id, request.name))
  const account: NewServiceAccount = {
    id: newId('acc', now),
    organizationId: organization.id,
    name: request.name,
    slug,
    email: emailOf(slug, organization.slug, services.issuer),
    description: request.description,
    ownerContact: request.ownerContact,
    assertionPolicy,
    tokenRequestsPerMinute: request.tokenRequestsPerMinute,
    createdAt: new Date(now),
    createdBy: creatorOf(actor),
  }
  const prepared =
    request.initialKey === undefined
      ? undefined
      : await prepareKey(services, { organization, account }, request.initialKey, now)
  const asked = patchAccess(NO_ACCESS, request.access)
  return transact(services.db, (trx) => store(trx, actor, account, asked, prepared))
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
      const before = { status: account.status, ...accessOf(account), keysRevoked: [] }
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

async function store(
  trx: Trx,
  actor: Actor,
  account: NewServiceAccount,
  asked: Access,
  prepared: PreparedKey | undefined,
): Promise<CreatedServiceAccount> {
  const { id, organizationId } = account
  const organization = requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
  await insertUnique(trx, account)
  await replaceAccess(trx, actor, { id, organizationId, ...NO_ACCESS }, asked)
  const created = requireFound(await findServiceAccount(trx, organizationId, id), 'service account', id)
  await recordChanges(trx, actor, account.createdAt.getTime(), [
    {
      organizationId,
      action: 'service_account.created',
      target: { id, kind: 'service_account', name: account.name },
      changes: createdAs(factsOf(created)),
    },
  ])
  const initialKey = prepared && {
    key: await storeKey(trx, actor, { organization, account: created }, prepared),
    secret: prepared.secret,
  }
  return {
    account: requireFound(await findServiceAccount(trx, organizationId, id), 'service account', id),
    initialKey,
  }
}

async function storeChanges(
  trx: Trx,
  actor: Actor,
  account: ServiceAccount,
  { asked, after, now }: { asked: Access; after: ServiceAccount; now: number },
): Promise<ServiceAccount> {
  const differences = changesBetween(factsOf(account), factsOf(after))
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

/** Google's client libraries send no proof, so whoever wants both has made a mistake. */
function requireCoherent(policy: AssertionPolicy): AssertionPolicy {
  if (!policy.requireDpop || policy.profile !== 'google') return policy
  const detail = 'needs profile rfc7523: the client libraries that profile google is for send no DPoP proofs'
  const pointer = '/assertion_policy/require_dpop'
  throw new Refusal('input_invalid', { fault: detail }, { faults: [{ pointer, detail }] })
}

function actionOf(before: ServiceAccount, after: ServiceAccount): AuditAction {
  if (before.status === after.status) return 'service_account.updated'
  return after.status === 'active' ? 'service_account.enabled' : 'service_account.disabled'
}

/** A slug made from the name, with a random ending where another account has it already. */
async function freeSlug(
  { db }: Pick<DirectoryServices, 'db'>,
  organizationId: string,
  name: string,
): Promise<string> {
  const slug = slugFromName(name)
  const taken = await findServiceAccountBySlug(db, organizationId, slug)
  return taken === undefined ? slug : withSuffix(slug)
}

/** An account's email is made of its slug. */
const UNIQUE_BY_SLUG = ['accounts_slug', 'accounts_email', 'service_accounts_email']

async function insertUnique(trx: Trx, account: NewServiceAccount): Promise<void> {
  try {
    await insertServiceAccount(trx, account)
  } catch (error) {
    const violated = violatedUnique(error)
    if (!UNIQUE_BY_SLUG.includes(violated ?? '')) throw error
    throw new Refusal(
      'slug_taken',
      { slug: account.slug, organizationId: account.organizationId },
      { hint: 'Another account of the organization has this slug.' },
    )
  }
}

function factsOf(account: ServiceAccount): Record<string, unknown> {
  const { name, slug, email, description, ownerContact, status, assertionPolicy } = account
  return {
    name,
    slug,
    email,
    description,
    ownerContact,
    status,
    ...accessOf(account),
    assertionPolicy,
    tokenRequestsPerMinute: account.tokenRequestsPerMinute,
  }
}

function accessOf(account: Access): Access {
  const { permissions, roleIds, groupAccess, groupsAdministrator, delegation } = account
  return { permissions, roleIds, groupAccess, groupsAdministrator, delegation }
}
