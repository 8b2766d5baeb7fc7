import type { Trx } from '../database/connect.ts'
import {
  type AccountChanges,
  type DirectPermission,
  findServiceAccount,
  findServiceAccountBySlug,
  insertServiceAccount,
  lockAccount,
  type NewServiceAccount,
  listServiceAccounts as queryServiceAccounts,
  type ServiceAccount,
  updateAccount,
} from '../database/queries/accounts.ts'
import { revokeKeys } from '../database/queries/keys.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import { withdrawPermissions } from '../database/queries/permissions.ts'
import type { AssertionPolicy, KeyRow } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { type Actor, creatorOf } from './actor.ts'
import { type AuditAction, changesBetween, createdAs, recordChanges } from './audit.ts'
import { DEFAULT_ASSERTION_POLICY, emailOf } from './defaults.ts'
import { assertMayMakeKey, replacePermissions, sortPermissions } from './granting.ts'
import { type KeyRequest, type KeySecret, type PreparedKey, prepareKey, storeKey } from './new-key.ts'
import { assertOwnerRemains } from './ownership.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization, notFound, requireReachable } from './reach.ts'
import { type AccountPath, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'
import { slugFromName, withSuffix } from './slugs.ts'

export type ServiceAccountRequest = {
  name: string
  /** Made from the name when undefined. */
  slug: string | undefined
  description: string
  ownerContact: string | null
  permissions: readonly DirectPermission[]
  assertionPolicy: Partial<AssertionPolicy>
  initialKey: KeyRequest | undefined
}

/** What can be asked of an account that exists; `undefined` and policy members not named stay as they are. */
export type ServiceAccountPatch = {
  name: string | undefined
  description: string | undefined
  ownerContact: string | null | undefined
  status: 'active' | 'disabled' | undefined
  /** The whole list. */
  permissions: readonly DirectPermission[] | undefined
  assertionPolicy: Partial<AssertionPolicy>
}

export type CreatedServiceAccount = {
  account: ServiceAccount
  initialKey: { key: KeyRow; secret: KeySecret | undefined } | undefined
}

/** An organization's service accounts, newest first. Throws Refusal `resource_not_found`. */
export async function listServiceAccounts(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<ServiceAccount>> {
  const organization = await getOrganization(db, actor, organizationId)
  return readPage(request, (page) => queryServiceAccounts(db, organization.id, page))
}

/**
 * Creates an account that may do what the request lists and no more, with its first key if one is asked for:
 * both or neither.
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
  const slug = request.slug ?? (await freeSlug(services, organization.id, request.name))
  const account: NewServiceAccount = {
    id: newId('acc', now),
    organizationId: organization.id,
    name: request.name,
    slug,
    email: emailOf(slug, organization.slug, services.issuer),
    description: request.description,
    ownerContact: request.ownerContact,
    assertionPolicy: { ...DEFAULT_ASSERTION_POLICY, ...request.assertionPolicy },
    createdAt: new Date(now),
    createdBy: creatorOf(actor),
  }
  const prepared =
    request.initialKey === undefined
      ? undefined
      : await prepareKey(services, { organization, account }, request.initialKey, now)
  return transact(services.db, (trx) => store(trx, actor, account, request.permissions, prepared))
}

/**
 * Changes an account. Disabling ends all its tokens before this returns (promise 1). Permissions that are
 * given must be held by the actor (promise 8), all of them when the account is enabled, since its keys work
 * again then; taking away needs no more than being here.
 * Throws Refusal `resource_not_found`, `permission_not_held`, `input_invalid` or `built_in_protected`.
 */
export async function updateServiceAccount(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  patch: ServiceAccountPatch,
): Promise<ServiceAccount> {
  const run = patch.status === 'disabled' ? transactEnding : transact
  return run(db, async (trx) => {
    const now = clock.now()
    const { organization, account } = await lockServiceAccount(trx, actor, path)
    const after = applyPatch(account, patch)
    const differences = changesBetween(factsOf(account), factsOf(after))
    if (differences === undefined) return account
    await assertOwnerRemains(trx, organization, account, after)
    await replacePermissions(trx, actor, account, patch.permissions ?? account.permissions)
    if (account.status !== 'active' && after.status === 'active')
      await assertMayMakeKey(trx, actor, account.id)
    const { name, description, ownerContact, status, assertionPolicy } = after
    const changes: AccountChanges = { name, description, ownerContact, status, assertionPolicy }
    const endTokens = account.status === 'active' && status === 'disabled'
    await updateAccount(trx, account.id, changes, { endTokens, now: new Date(now) })
    await recordChanges(trx, actor, now, [
      {
        organizationId: organization.id,
        action: actionOf(account, after),
        target: { id: account.id, kind: 'service_account', name },
        changes: differences,
      },
    ])
    return requirePresent(await findServiceAccount(trx, organization.id, account.id), account.id)
  })
}

/**
 * Deletes an account for good: its keys are revoked, its permissions taken, its tokens ended before this
 * returns. The record stays for the trail. The second time nothing happens.
 * Throws Refusal `resource_not_found` or `built_in_protected`.
 */
export async function deleteServiceAccount(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  { organizationId, accountId }: AccountPath,
): Promise<void> {
  await transactEnding(db, async (trx) => {
    const now = clock.now()
    const organization = await getOrganization(trx, actor, organizationId)
    await lockAccount(trx, accountId)
    const account = requirePresent(await findServiceAccount(trx, organization.id, accountId), accountId)
    if (account.status === 'deleted') return
    await assertOwnerRemains(trx, organization, account, undefined)
    const keysRevoked = await revokeKeys(trx, accountId, new Date(now))
    await withdrawPermissions(trx, accountId, account.permissions)
    await updateAccount(trx, accountId, { status: 'deleted' }, { endTokens: true, now: new Date(now) })
    const { status, permissions } = account
    await recordChanges(trx, actor, now, [
      {
        organizationId: organization.id,
        action: 'service_account.deleted',
        target: { id: accountId, kind: 'service_account', name: account.name },
        changes:
          changesBetween(
            { status, permissions, keysRevoked: [] },
            { status: 'deleted', permissions: [], keysRevoked },
          ) ?? null,
      },
    ])
  })
}

async function store(
  trx: Trx,
  actor: Actor,
  account: NewServiceAccount,
  permissions: readonly DirectPermission[],
  prepared: PreparedKey | undefined,
): Promise<CreatedServiceAccount> {
  const { id, organizationId } = account
  const organization = requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
  await insertUnique(trx, account)
  const created = requirePresent(await findServiceAccount(trx, organizationId, id), id)
  const after = { ...created, permissions: sortPermissions(permissions) }
  await replacePermissions(trx, actor, created, permissions)
  await recordChanges(trx, actor, account.createdAt.getTime(), [
    {
      organizationId,
      action: 'service_account.created',
      target: { id, kind: 'service_account', name: account.name },
      changes: createdAs(factsOf(after)),
    },
  ])
  const initialKey = prepared && {
    key: await storeKey(trx, actor, { organization, account: created }, prepared),
    secret: prepared.secret,
  }
  return { account: requirePresent(await findServiceAccount(trx, organizationId, id), id), initialKey }
}

function applyPatch(account: ServiceAccount, patch: ServiceAccountPatch): ServiceAccount {
  return {
    ...account,
    name: patch.name ?? account.name,
    description: patch.description ?? account.description,
    ownerContact: patch.ownerContact === undefined ? account.ownerContact : patch.ownerContact,
    status: patch.status ?? account.status,
    permissions: patch.permissions === undefined ? account.permissions : sortPermissions(patch.permissions),
    assertionPolicy: { ...account.assertionPolicy, ...patch.assertionPolicy },
  }
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

async function insertUnique(trx: Trx, account: NewServiceAccount): Promise<void> {
  try {
    await insertServiceAccount(trx, account)
  } catch (error) {
    const violated = violatedUnique(error)
    if (violated !== 'accounts_slug' && violated !== 'accounts_email') throw error
    throw new Refusal(
      'slug_taken',
      { slug: account.slug, organizationId: account.organizationId },
      { hint: 'Another account of the organization has this slug.' },
    )
  }
}

function requirePresent(account: ServiceAccount | undefined, id: string): ServiceAccount {
  if (account === undefined) throw notFound('service account', id)
  return account
}

function factsOf(account: ServiceAccount): Record<string, unknown> {
  const { name, slug, email, description, ownerContact, status, permissions, assertionPolicy } = account
  return { name, slug, email, description, ownerContact, status, permissions, assertionPolicy }
}
