import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, PublicJwk, SigningAlgorithm, SigningKeyRow } from '../tables.ts'
import type { Page } from './page.ts'

/** A pair that nobody knows of yet. */
export type NewSigningKey = {
  id: string
  algorithm: SigningAlgorithm
  publicKey: PublicJwk
  wrappedPrivateKey: Buffer
}

/** All signing keys that are published: all but those that are gone. Newest first. */
export function listPublishedSigningKeys(db: Kysely<Database>): Promise<SigningKeyRow[]> {
  return db
    .selectFrom('signingKeys')
    .selectAll()
    .where('status', '!=', 'gone')
    .orderBy('id', 'desc')
    .execute()
}

/** All signing keys that there ever were, newest first. */
export function listSigningKeys(db: Kysely<Database>, page: Page): Promise<SigningKeyRow[]> {
  return db
    .selectFrom('signingKeys')
    .selectAll()
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** The signing key with that id, in whatever state. */
export function findSigningKey(db: Kysely<Database>, id: string): Promise<SigningKeyRow | undefined> {
  return db.selectFrom('signingKeys').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Serializes those who would change signing keys: who comes second sees what the first one did. */
export async function lockSigningKeys(trx: Transaction<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(4207, 3)`.execute(trx)
}

/** Stores a key pair, as the one that stands ready or, where there is none, as the one that signs. */
export async function insertSigningKey(
  trx: Transaction<Database>,
  { publicKey, ...key }: NewSigningKey,
  { status, now }: { status: 'next' | 'active'; now: Date },
): Promise<void> {
  await trx
    .insertInto('signingKeys')
    .values({
      ...key,
      publicKey: JSON.stringify(publicKey),
      status,
      createdAt: now,
      activatedAt: status === 'active' ? now : null,
    })
    .execute()
}

/** From now on the key signs. */
export async function activateSigningKey(
  trx: Transaction<Database>,
  id: string,
  activatedAt: Date,
): Promise<void> {
  await trx.updateTable('signingKeys').set({ status: 'active', activatedAt }).where('id', '=', id).execute()
}

/** From now on the key verifies alone. Its private half has no use any more, so it is not kept. */
export async function retireSigningKey(
  trx: Transaction<Database>,
  id: string,
  retiredAt: Date,
): Promise<void> {
  await trx
    .updateTable('signingKeys')
    .set({ status: 'retiring', retiredAt, wrappedPrivateKey: null })
    .where('id', '=', id)
    .execute()
}

/** From now on the key counts for nothing. */
export async function removeSigningKey(
  trx: Transaction<Database>,
  id: string,
  { removedAt, isRevoked }: { removedAt: Date; isRevoked: boolean },
): Promise<void> {
  await trx
    .updateTable('signingKeys')
    .set({ status: 'gone', removedAt, wrappedPrivateKey: null, ...(isRevoked && { revokedAt: removedAt }) })
    .where('id', '=', id)
    .execute()
}
