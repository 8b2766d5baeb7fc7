import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import { findServiceAccountBySlug } from '../database/queries/accounts.ts'
import { lockInstallation } from '../database/queries/installation.ts'
import { findKeyByThumbprint } from '../database/queries/keys.ts'
import { findOperatorOrganization } from '../database/queries/organizations.ts'
import type { KeyRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { OperatorError } from '../errors.ts'
import { systemActor } from './actor.ts'
import { OPERATOR_SLUG } from './installation.ts'
import { storeKey } from './new-key.ts'
import { prepareRegisteredKey } from './prepared-key.ts'

/**
 * Registers a public key (PEM or JWK) for the account `operator`, as `bootstrap --public-key` does: no private
 * key is ever made on the server. The second time nothing changes, and the same key is answered.
 * Throws OperatorError when the account was deleted or the key revoked; Refusal `input_invalid`,
 * `private_key_given`, `key_material_taken`, `kid_taken` or `key_limit_reached`.
 */
export async function registerOperatorKey(
  db: Db,
  options: { publicKey: string | Record<string, unknown>; name: string | undefined; clock: Clock },
): Promise<KeyRow> {
  return transact(db, async (trx) => {
    await lockInstallation(trx)
    const organization = await findOperatorOrganization(trx)
    const account = organization && (await findServiceAccountBySlug(trx, organization.id, OPERATOR_SLUG))
    if (organization === undefined || account === undefined) {
      throw new OperatorError(
        'There is no service account operator: it was deleted, or the installation was never set up. ' +
          'Register the key with another account of the operator organization.',
      )
    }
    const { publicKey, name } = options
    const prepared = prepareRegisteredKey(
      organization,
      {
        type: 'public_key',
        publicKey,
        name,
        algorithm: undefined,
        notBefore: undefined,
        expiresAt: undefined,
      },
      options.clock.now(),
    )
    const existing = await findKeyByThumbprint(trx, account.id, prepared.row.thumbprint)
    if (existing !== undefined) return requireNotRevoked(existing)
    return storeKey(trx, systemActor, { organization, account }, prepared)
  })
}

function requireNotRevoked(key: KeyRow): KeyRow {
  if (key.status !== 'revoked') return key
  throw new OperatorError(
    `This key was revoked for good (${key.id}). Make a new pair and register its public half.`,
  )
}
