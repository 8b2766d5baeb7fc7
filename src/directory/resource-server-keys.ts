import type { Trx } from '../database/connect.ts'
import { lockKeyMaterial } from '../database/queries/keys.ts'
import {
  countResourceServerKeys,
  findResourceServerKey,
  insertResourceServerKey,
  type NewResourceServerKey,
  listResourceServerKeys as queryKeys,
  type ResourceServerKeyChanges,
  updateResourceServerKey as storeChanges,
} from '../database/queries/resource-server-keys.ts'
import { findResourceServer, lockResourceServer } from '../database/queries/resource-servers.ts'
import type { KeyAlgorithm, KeyStatus, ResourceServerKeyRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { type Actor, creatorOf } from './actor.ts'
import { type AuditAction, changesBetween, createdAs, recordChanges } from './audit.ts'
import { assertExpiresLater } from './key-lifetime.ts'
import { kidTaken, materialTaken } from './new-key.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { parsePublicKey } from './public-key.ts'
import { notFound, requireFound, requireOperator } from './reach.ts'
import { getResourceServer, operatorOrganizationId } from './resource-servers.ts'
import type { DirectoryServices } from './services.ts'

/** A public key as somebody registers it. `undefined` means the default, `null` none. */
export type ResourceServerKeyRequest = {
  publicKey: string | Record<string, unknown>
  algorithm: KeyAlgorithm | undefined
  name: string | undefined
  expiresAt: Date | null | undefined
}

/** What can be asked of a key that exists. */
export type ResourceServerKeyPatch = {
  name: string | undefined
  status: 'active' | 'disabled' | undefined
  expiresAt: Date | null | undefined
}

/** Enough to change them without a gap on a few machines. */
const MAX_KEYS = 10

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** A resource server's keys, newest first. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function listResourceServerKeys(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  resourceServerId: string,
  options: { includeRevoked: boolean },
  request: PageRequest,
): Promise<Listing<ResourceServerKeyRow>> {
  const { id } = await getResourceServer({ db }, actor, resourceServerId)
  return readPage(request, (page) => queryKeys(db, id, options, page))
}

/** One key, also a revoked one. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getResourceServerKey(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  resourceServerId: string,
  keyId: string,
): Promise<ResourceServerKeyRow> {
  const { id } = await getResourceServer({ db }, actor, resourceServerId)
  return requireFound(await findResourceServerKey(db, id, keyId), 'key', keyId)
}

/**
 * Registers a public key with which a resource server authenticates. Its `kid` is the JWK's, else the thumbprint.
 * Throws Refusal `permission_missing`, `resource_not_found`, `input_invalid`, `private_key_given`,
 * `key_limit_reached`, `key_material_taken` or `kid_taken`.
 */
export async function createResourceServerKey(
  { db, clock }: Services,
  actor: Actor,
  resourceServerId: string,
  request: ResourceServerKeyRequest,
): Promise<ResourceServerKeyRow> {
  requireOperator(actor)
  const { publicKey, algorithm, modulusLength, thumbprint, declaredKid } = parsePublicKey(request.publicKey, {
    algorithm: request.algorithm,
  })
  const now = clock.now()
  const expiresAt = request.expiresAt ?? null
  assertExpiresLater(expiresAt, now)
  return transact(db, async (trx) => {
    await lockPresent(trx, resourceServerId)
    await assertRoom(trx, resourceServerId)
    const key = await insertUnique(trx, {
      id: newId('key', now),
      resourceServerId,
      kid: declaredKid ?? thumbprint,
      name: request.name ?? `Public key ${new Date(now).toISOString().slice(0, 10)}`,
      algorithm,
      modulusLength,
      thumbprint,
      publicKey,
      expiresAt,
      createdAt: new Date(now),
      createdBy: creatorOf(actor),
    })
    const changes = createdAs({ resourceServerId, ...factsOf(key) })
    await record(trx, actor, now, key, 'resource_server_key.created', changes)
    return key
  })
}

/**
 * Renames, disables, enables a key or moves its expiry. A disabled one authenticates nobody once this returns.
 * Throws Refusal `permission_missing`, `resource_not_found`, `key_already_revoked` or `input_invalid`.
 */
export async function updateResourceServerKey(
  { db, clock }: Services,
  actor: Actor,
  resourceServerId: string,
  keyId: string,
  patch: ResourceServerKeyPatch,
): Promise<ResourceServerKeyRow> {
  requireOperator(actor)
  return transact(db, async (trx) => {
    const now = clock.now()
    await lockPresent(trx, resourceServerId)
    const key = requireFound(await findResourceServerKey(trx, resourceServerId, keyId), 'key', keyId)
    if (key.status === 'revoked') throw new Refusal('key_already_revoked', { keyId })
    const { name = key.name, status = key.status, expiresAt = key.expiresAt } = patch
    if (expiresAt?.getTime() !== key.expiresAt?.getTime()) assertExpiresLater(expiresAt, now)
    return change(trx, actor, key, { name, status, expiresAt }, now)
  })
}

/**
 * Revokes a key for good: it authenticates nobody once this returns. The second time nothing happens. Throws Refusal
 * `permission_missing` or `resource_not_found`.
 */
export async function revokeResourceServerKey(
  { db, clock }: Services,
  actor: Actor,
  resourceServerId: string,
  keyId: string,
): Promise<void> {
  requireOperator(actor)
  await transact(db, async (trx) => {
    await lockPresent(trx, resourceServerId)
    const key = requireFound(await findResourceServerKey(trx, resourceServerId, keyId), 'key', keyId)
    if (key.status !== 'revoked') await change(trx, actor, key, { status: 'revoked' }, clock.now())
  })
}

async function change(
  trx: Trx,
  actor: Actor,
  key: ResourceServerKeyRow,
  changes: ResourceServerKeyChanges,
  now: number,
): Promise<ResourceServerKeyRow> {
  const differences = changesBetween(factsOf(key), factsOf({ ...key, ...changes }))
  if (differences === undefined) return key
  const changed = await storeChanges(trx, key.id, changes, new Date(now))
  await record(trx, actor, now, changed, actionOf(key.status, changed.status), differences)
  return changed
}

function actionOf(before: KeyStatus, after: KeyStatus): AuditAction {
  if (before === after) return 'resource_server_key.updated'
  switch (after) {
    case 'active':
      return 'resource_server_key.enabled'
    case 'disabled':
      return 'resource_server_key.disabled'
    case 'revoked':
      return 'resource_server_key.revoked'
  }
}

/** What belongs to the platform stands in the trail of the operator organization. */
async function record(
  trx: Trx,
  actor: Actor,
  now: number,
  { id, name }: ResourceServerKeyRow,
  action: AuditAction,
  changes: ReturnType<typeof createdAs>,
): Promise<void> {
  const organizationId = await operatorOrganizationId(trx)
  const target = { id, kind: 'resource_server_key', name } as const
  await recordChanges(trx, actor, now, [{ organizationId, action, target, changes }])
}

async function lockPresent(trx: Trx, resourceServerId: string): Promise<void> {
  await lockResourceServer(trx, resourceServerId)
  if ((await findResourceServer(trx, resourceServerId)) === undefined)
    throw notFound('resource server', resourceServerId)
}

async function assertRoom(trx: Trx, resourceServerId: string): Promise<void> {
  const count = await countResourceServerKeys(trx, resourceServerId)
  if (count < MAX_KEYS) return
  const hint = `A resource server can have ${MAX_KEYS} keys. Delete one first.`
  throw new Refusal('key_limit_reached', { count }, { hint })
}

async function insertUnique(trx: Trx, key: NewResourceServerKey): Promise<ResourceServerKeyRow> {
  if (await lockKeyMaterial(trx, key.thumbprint)) throw materialTaken(key.thumbprint)
  try {
    return await insertResourceServerKey(trx, key)
  } catch (error) {
    if (violatedUnique(error) === 'resource_server_keys_resource_server_id_kid_key') throw kidTaken(key.kid)
    throw error
  }
}

/** What the trail tells of a key: the public half is public, and the thumbprint names it. */
function factsOf(key: ResourceServerKeyRow): Record<string, unknown> {
  const { name, status, expiresAt, kid, algorithm, modulusLength, thumbprint } = key
  return { name, status, expiresAt, kid, algorithm, modulusLength, thumbprint }
}
