import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, PublicJwk, SigningAlgorithm, SigningKeyRow } from '../tables.ts'

/** All signing keys that are published: all but those that are gone. Newest first. */
export function listSigningKeys(db: Kysely<Database>): Promise<SigningKeyRow[]> {
  return db
    .selectFrom('signingKeys')
    .selectAll()
    .where('status', '!=', 'gone')
    .orderBy('id', 'desc')
    .execute()
}

/** Serializes those who would make signing keys: who comes second sees what the first one made. */
export async function lockSigningKeys(trx: Transaction<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(4207, 3)`.execute(trx)
}

/** Stores a signing key as the active one of its algorithm. */
export async function insertActiveSigningKey(
  trx: Transaction<Database>,
  key: {
    id: string
    algorithm: SigningAlgorithm
    publicKey: PublicJwk
    wrappedPrivateKey: Buffer
    createdAt: Date
  },
): Promise<void> {
  await trx
    .insertInto('signingKeys')
    .values({ ...key, publicKey: JSON.stringify(key.publicKey), status: 'active' })
    .execute()
}
