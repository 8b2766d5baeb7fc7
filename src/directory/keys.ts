import type { Trx } from '../database/connect.ts'
import {
  findKey,
  type KeyChanges,
  listKeys as queryKeys,
  updateKey as storeChanges,
} from '../database/queries/keys.ts'
import type { KeyRow, KeyStatus, OrganizationRow } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { Refusal } from '../errors.ts'
import type { Actor } from './actor.ts'
import { type AuditAction, changesBetween, recordChanges } from './audit.ts'
import { assertMayMakeKey } from './granting.ts'
import { assertNewExpiry } from './key-lifetime.ts'
import { assertRoomForKey, keyFacts, storeKey } from './new-key.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { type KeyRequest, type KeySecret, prepareKey } from './prepared-key.ts'
import { requireFound } from './reach.ts'
import { type AccountPath, getServiceAccount, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** What can be asked of a key that exists. */
export type KeyPatch = {
  name: string | undefined
  status: 'active' | 'disabled' | undefined
  expiresAt: Date | null | undefined
}

/** What a key is now: an active one that has run out is `expired`. `now` in milliseconds. */
export function stateOfKey(key: Pick<KeyRow, 'status' | 'expiresAt'>, now: number): KeyStatus | 'expired' {
  const isExpired = key.status === 'active' && key.expiresAt !== null && key.expiresAt.getTime() <= now
  return isExpired ? 'expired' : key.status
}

/** An account's keys, newest first. Throws Refusal `resource_not_found`. */
export async function listKeys(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  path: AccountPath,
  options: { includeRevoked: boolean },
  request: PageRequest,
): Promise<Listing<KeyRow>> {
  const { account } = await getServiceAccount(db, actor, path)
  return readPage(request, (page) => queryKeys(db, account.id, options, page))
}

/** One key, also a revoked one. Throws Refusal `resource_not_found`. */
export async function getKey(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  path: AccountPath,
  keyId: string,
): Promise<KeyRow> {
  const { account } = await getServiceAccount(db, actor, path)
  return requireFound(await findKey(db, account.id, keyId), 'key', keyId)
}

/**
 * Generates or registers a key. The secret, if there is one, is in the answer and nowhere else.
 * Throws Refusal `permission_not_held` when the account may do more than the actor, and what `prepareKey`
 * and `storeKey` throw.
 */
export async function createKey(
  services: DirectoryServices,
  actor: Actor,
  path: AccountPath,
  request: KeyRequest,
): Promise<{ key: KeyRow; secret: KeySecret | undefined }> {
  const owner = await getServiceAccount(services.db, actor, path)
  // Both are asked again when it is stored, where it counts: here it only saves the work of generating.
  await assertMayMakeKey(services.db, actor, owner.account.id)
  await assertRoomForKey(services.db, owner.organization, owner.account.id)
  const prepared = await prepareKey(services, owner, request, services.clock.now())
  const key = await transact(services.db, async (trx) => {
    const locked = await lockServiceAccount(trx, actor, path)
    await assertMayMakeKey(trx, actor, locked.account.id)
    return storeKey(trx, actor, locked, prepared)
  })
  return { key, secret: prepared.secret }
}

/**
 * Renames, disables, enables a key or moves its expiry. Disabling ends exactly its tokens, before this
 * returns (promises 1 and 10). A key that had run out and gets a new expiry starts afresh: its former tokens
 * stay ended. Enabling a key or prolonging it is like making one: whoever holds it may do what its account may.
 * Throws Refusal `resource_not_found`, `permission_not_held`, `key_already_revoked` or `input_invalid`.
 */
export async function updateKey(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  keyId: string,
  patch: KeyPatch,
): Promise<KeyRow> {
  const endsAuthority = patch.status === 'disabled' || patch.expiresAt instanceof Date
  const run = endsAuthority ? transactEnding : transact
  return run(db, async (trx) => {
    const now = clock.now()
    const { organization, account } = await lockServiceAccount(trx, actor, path)
    const key = requireFound(await findKey(trx, account.id, keyId), 'key', keyId)
    if (key.status === 'revoked') throw new Refusal('key_already_revoked', { keyId })
    const expiryMoves =
      patch.expiresAt !== undefined && patch.expiresAt?.getTime() !== key.expiresAt?.getTime()
    if (expiryMoves) assertNewExpiry(patch.expiresAt ?? null, key, organization.settings, now)
    if (revives(key, patch)) await assertMayMakeKey(trx, actor, account.id)
    const changes: KeyChanges = {
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.status === undefined ? {} : { status: patch.status }),
      ...(expiryMoves ? { expiresAt: patch.expiresAt ?? null } : {}),
    }
    const disables = patch.status === 'disabled' && key.status === 'active'
    const renews = expiryMoves && stateOfKey(key, now) === 'expired'
    return change(trx, actor, organization, key, changes, { endTokens: disables || renews, now })
  })
}

/** Whether a patch gives a key more than it has: being usable again, or for longer. */
function revives(key: KeyRow, { status, expiresAt }: KeyPatch): boolean {
  if (status === 'active' && key.status === 'disabled') return true
  if (expiresAt === undefined || key.expiresAt === null) return false
  return expiresAt === null || expiresAt > key.expiresAt
}

/**
 * Revokes a key for good: once this returns, no node issues a token for it and all its tokens have ended. The
 * second time nothing happens. Throws Refusal `resource_not_found`.
 */
export async function revokeKey(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  keyId: string,
): Promise<void> {
  await transactEnding(db, async (trx) => {
    const { organization, account } = await lockServiceAccount(trx, actor, path)
    const key = requireFound(await findKey(trx, account.id, keyId), 'key', keyId)
    if (key.status === 'revoked') return
    const options = { endTokens: true, now: clock.now() }
    await change(trx, actor, organization, key, { status: 'revoked' }, options)
  })
}

async function change(
  trx: Trx,
  actor: Actor,
  organization: OrganizationRow,
  key: KeyRow,
  changes: KeyChanges,
  options: { endTokens: boolean; now: number },
): Promise<KeyRow> {
  const differences = changesBetween(keyFacts(key), keyFacts({ ...key, ...changes }))
  if (differences === undefined) return key
  const { endTokens, now } = options
  const changed = await storeChanges(trx, key.id, changes, { endTokens, now: new Date(now) })
  await recordChanges(trx, actor, now, [
    {
      organizationId: organization.id,
      action: actionOf(key.status, changed.status),
      target: { id: key.id, kind: 'key', name: changed.name },
      changes: differences,
    },
  ])
  return changed
}

function actionOf(before: KeyStatus, after: KeyStatus): AuditAction {
  if (before === after) return 'key.updated'
  switch (after) {
    case 'active':
      return 'key.enabled'
    case 'disabled':
      return 'key.disabled'
    case 'revoked':
      return 'key.revoked'
  }
}
