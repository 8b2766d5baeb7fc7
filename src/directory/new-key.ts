import type { Db, Trx } from '../database/connect.ts'
import { lockAccount, type ServiceAccount, updateAccount } from '../database/queries/accounts.ts'
import { countKeys, insertKey, lockKeyMaterial } from '../database/queries/keys.ts'
import type { KeyRow, OrganizationRow } from '../database/tables.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { type Actor, creatorOf } from './actor.ts'
import { type AuditEntry, changesBetween, createdAs, recordChanges } from './audit.ts'
import type { PreparedKey } from './prepared-key.ts'

/**
 * Stores a prepared key and its event. A JSON key file is for client libraries that leave `sub` out, so the
 * account's profile becomes `google` with it (conformance D7).
 * Throws Refusal `key_limit_reached`, `key_material_taken` or `kid_taken`.
 */
export async function storeKey(
  trx: Trx,
  actor: Actor,
  owner: { organization: OrganizationRow; account: Omit<ServiceAccount, 'permissions' | 'lastUsedAt'> },
  prepared: PreparedKey,
): Promise<KeyRow> {
  const { organization, account } = owner
  await lockAccount(trx, account.id)
  await assertRoomForKey(trx, organization, account.id)
  const key = await insertUnique(trx, {
    ...prepared.row,
    accountId: account.id,
    createdBy: creatorOf(actor),
  })
  const entries: AuditEntry[] = [
    {
      organizationId: organization.id,
      action: 'key.created',
      target: { id: key.id, kind: 'key', name: key.name },
      changes: createdAs({ accountId: account.id, ...keyFacts(key) }),
    },
  ]
  // Google's libraries send no DPoP proof: an account that must send one is not for them.
  const { profile, requireDpop } = account.assertionPolicy
  if (prepared.secret?.format === 'json' && profile !== 'google' && !requireDpop) {
    const assertionPolicy = { ...account.assertionPolicy, profile: 'google' as const }
    await updateAccount(trx, account.id, { assertionPolicy }, { endTokens: false, now: key.createdAt })
    entries.push({
      organizationId: organization.id,
      action: 'service_account.updated',
      target: { id: account.id, kind: 'service_account', name: account.name },
      changes: changesBetween({ assertionPolicy: account.assertionPolicy }, { assertionPolicy }) ?? null,
    })
  }
  await recordChanges(trx, actor, key.createdAt.getTime(), entries)
  return key
}

/** Throws Refusal `key_limit_reached`. */
export async function assertRoomForKey(
  db: Db,
  organization: OrganizationRow,
  accountId: string,
): Promise<void> {
  const { maxKeysPerAccount } = organization.settings
  const count = await countKeys(db, accountId)
  if (count < maxKeysPerAccount) return
  throw new Refusal(
    'key_limit_reached',
    { count, maxKeysPerAccount },
    { hint: `The organization allows ${maxKeysPerAccount} keys per account. Delete one first.` },
  )
}

/** What the trail tells of a key. The public half is public, the thumbprint names it; of a secret its two ends. */
export function keyFacts(key: KeyRow): Record<string, unknown> {
  const { name, type, status, notBefore, expiresAt } = key
  const terms = { name, type, status, notBefore, expiresAt }
  if (type === 'api_token') return { ...terms, obfuscatedToken: key.obfuscatedToken }
  const { kid, algorithm, modulusLength, thumbprint } = key
  return { ...terms, kid, algorithm, modulusLength, thumbprint }
}

/** The database decides who came first; whose key it is already is told to nobody. */
async function insertUnique(trx: Trx, key: Parameters<typeof insertKey>[1]): Promise<KeyRow> {
  const { thumbprint, kid } = key
  if (thumbprint != null && (await lockKeyMaterial(trx, thumbprint))) throw materialTaken(thumbprint)
  try {
    return await insertKey(trx, key)
  } catch (error) {
    if (violatedUnique(error) === 'keys_account_id_kid_key') throw kidTaken(kid)
    throw error
  }
}

/** One pair is one party: whose it is already is told to nobody. */
export function materialTaken(thumbprint: string): Refusal {
  const hint =
    'This key material is or was registered already. Make a new pair; a key belongs to one account or resource server.'
  return new Refusal('key_material_taken', { thumbprint }, { hint })
}

export function kidTaken(kid: string | null | undefined): Refusal {
  const hint = 'Another key here has or had this kid. Choose another one, or leave it out.'
  return new Refusal('kid_taken', { kid }, { hint })
}
