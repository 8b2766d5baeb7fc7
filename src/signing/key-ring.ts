import {
  type CryptoKey,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importJWK,
  importPKCS8,
  type JWK,
} from 'jose'
import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import { insertActiveSigningKey, listSigningKeys, lockSigningKeys } from '../database/queries/signing-keys.ts'
import type { PublicJwk, SigningAlgorithm, SigningKeyRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { OperatorError } from '../errors.ts'
import { newId } from '../ids.ts'
import { type KeyEncryptionKeys, unwrap, wrap } from './envelope.ts'

/** What access tokens can be signed with; each always has one active key. */
const SIGNING_ALGORITHMS: readonly SigningAlgorithm[] = ['ES256', 'RS256', 'EdDSA']
const RSA_MODULUS_LENGTH = 2048

/** A key that signs: its `kid` is its id. */
export type SigningKey = { kid: string; algorithm: SigningAlgorithm; privateKey: CryptoKey }
export type VerificationKey = { kid: string; algorithm: SigningAlgorithm; publicKey: CryptoKey }

/** The server's own keys, imported once: key material never changes under its id. */
export type KeyRing = {
  /** The active key of an algorithm. */
  signingKey(algorithm: SigningAlgorithm): SigningKey
  /** The published key with that `kid`; undefined when there is none. */
  verificationKey(kid: string): VerificationKey | undefined
  /** Public halves for `jwks.json` (RFC 7517 §5), newest first. */
  jwks(): { keys: JWK[] }
}

/**
 * Loads the key ring, and makes the keys that are missing at the first start. Nodes that start together
 * agree on one key per algorithm.
 * Throws OperatorError when the stored keys were wrapped under another key-encryption key.
 */
export async function openKeyRing(
  db: Db,
  keyEncryptionKeys: KeyEncryptionKeys,
  clock: Clock,
): Promise<KeyRing> {
  await createMissingKeys(db, keyEncryptionKeys, clock)
  const rows = await listSigningKeys(db)
  const imported = await Promise.all(rows.map((row) => importKey(row, keyEncryptionKeys)))
  const byKid = new Map(imported.map((key) => [key.kid, key]))
  const active = new Map(imported.filter((key) => key.status === 'active').map((key) => [key.algorithm, key]))
  return {
    signingKey(algorithm) {
      const key = active.get(algorithm)
      if (key === undefined) throw new Error(`no active signing key for ${algorithm}`)
      return key
    },
    verificationKey: (kid) => byKid.get(kid),
    jwks: () => ({
      keys: imported.map((key) => ({ ...key.publicJwk, kid: key.kid, alg: key.algorithm, use: 'sig' })),
    }),
  }
}

async function createMissingKeys(db: Db, keyEncryptionKeys: KeyEncryptionKeys, clock: Clock): Promise<void> {
  await transact(db, async (trx) => {
    await lockSigningKeys(trx)
    const existing = await listSigningKeys(trx)
    for (const algorithm of SIGNING_ALGORITHMS) {
      if (existing.some((key) => key.algorithm === algorithm && key.status === 'active')) continue
      await insertActiveSigningKey(trx, await createKey(algorithm, keyEncryptionKeys, clock.now()))
    }
  })
}

async function createKey(algorithm: SigningAlgorithm, keyEncryptionKeys: KeyEncryptionKeys, now: number) {
  const pair = await generateKeyPair(algorithm, { extractable: true, modulusLength: RSA_MODULUS_LENGTH })
  const id = newId('sig', now)
  return {
    id,
    algorithm,
    publicKey: (await exportJWK(pair.publicKey)) as PublicJwk,
    wrappedPrivateKey: wrap(Buffer.from(await exportPKCS8(pair.privateKey)), keyEncryptionKeys, id),
    createdAt: new Date(now),
  }
}

type ImportedKey = SigningKey & VerificationKey & { status: SigningKeyRow['status']; publicJwk: PublicJwk }

async function importKey(row: SigningKeyRow, keyEncryptionKeys: KeyEncryptionKeys): Promise<ImportedKey> {
  const pem = openEnvelope(row, keyEncryptionKeys).toString()
  return {
    kid: row.id,
    algorithm: row.algorithm,
    status: row.status,
    publicJwk: row.publicKey,
    privateKey: await importPKCS8(pem, row.algorithm),
    publicKey: (await importJWK(row.publicKey as JWK, row.algorithm)) as CryptoKey,
  }
}

function openEnvelope(row: SigningKeyRow, keyEncryptionKeys: KeyEncryptionKeys): Buffer {
  try {
    return unwrap(row.wrappedPrivateKey, keyEncryptionKeys, row.id)
  } catch (error) {
    throw new OperatorError(
      'The signing keys in the database were encrypted under another key-encryption key. ' +
        'Give this server the key that the database was set up with.',
      { cause: error },
    )
  }
}
