import { lockAccount } from '../database/queries/accounts.ts'
import { findKeyByThumbprint } from '../database/queries/keys.ts'
import type { KeyRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { OperatorError } from '../errors.ts'
import { systemActor } from './actor.ts'
import { stateOfKey } from './keys.ts'
import { storeKey } from './new-key.ts'
import type { OperatorOwner } from './operator-key-file.ts'
import { prepareRegisteredKey } from './prepared-key.ts'
import type { DirectoryServices } from './services.ts'

/**
 * Registers a public key (PEM or JWK) for the account `operator`: no private key is ever made on the server.
 * The second time nothing changes, and the same key is answered.
 * Throws OperatorError when the key was disabled, revoked or has run out; Refusal `input_invalid`,
 * `private_key_given`, `key_material_taken`, `kid_taken` or `key_limit_reached`.
 */
export async function registerOperatorKey(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  owner: OperatorOwner,
  given: { publicKey: string | Record<string, unknown>; name: string },
): Promise<{ key: KeyRow; isNew: boolean }> {
  const now = clock.now()
  const request = {
    ...given,
    type: 'public_key',
    algorithm: undefined,
    notBefore: undefined,
    expiresAt: undefined,
  } as const
  const prepared = prepareRegisteredKey(owner.organization, request, now)
  return transact(db, async (trx) => {
    // Two who register the same key at once: the second one finds what the first one made.
    await lockAccount(trx, owner.account.id)
    const existing = await findKeyByThumbprint(trx, owner.account.id, prepared.row.thumbprint)
    if (existing !== undefined) return { key: requireActive(existing, now), isNew: false }
    return { key: await storeKey(trx, systemActor, owner, prepared), isNew: true }
  })
}

function requireActive(key: KeyRow, now: number): KeyRow {
  const state = stateOfKey(key, now)
  if (state === 'active') return key
  throw new OperatorError(
    `This key is registered already, and ${state} (${key.id}). Make a new pair and register its public half.`,
  )
}
