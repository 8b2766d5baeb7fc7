import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, KeyRow, KeyStatus, NewKey, PublicJwk } from '../tables.ts'
import type { Page } from './page.ts'

/** What of a key can change. Key material never does. */
export type KeyChanges = { name?: string; status?: KeyStatus; expiresAt?: Date | null }

/** The key with that id of that account, also a revoked one. */
export function findKey(db: Kysely<Database>, accountId: string, id: string): Promise<KeyRow | undefined> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** The account's key with that material. */
export function findKeyByThumbprint(
  db: Kysely<Database>,
  accountId: string,
  thumbprint: string,
): Promise<KeyRow | undefined> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('thumbprint', '=', thumbprint)
    .executeTakeFirst()
}

/** An account's keys, revoked ones only when asked for. */
export function listKeys(
  db: Kysely<Database>,
  accountId: string,
  options: { includeRevoked: boolean },
  page: Page,
): Promise<KeyRow[]> {
  return db
    .selectFrom('keys')
    .selectAll()
    .where('accountId', '=', accountId)
    .$if(!options.includeRevoked, (query) => query.where('status', '!=', 'revoked'))
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** What people call these keys of an account, also when they are revoked. */
export function listKeyNames(
  db: Kysely<Database>,
  accountId: string,
  ids: readonly string[],
): Promise<{ id: string; name: string }[]> {
  if (ids.length === 0) return Promise.resolve([])
  return db
    .selectFrom('keys')
    .select(['id', 'name'])
    .where('accountId', '=', accountId)
    .where('id', 'in', ids)
    .execute()
}

/** How many keys an account has that are not revoked. */
export async function countKeys(db: Kysely<Database>, accountId: string): Promise<number> {
  const row = await db
    .selectFrom('keys')
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('accountId', '=', accountId)
    .where('status', '!=', 'revoked')
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/**
 * Whether key material is or was registered, for an account or a resource server. Nobody else can register it until
 * the transaction ends.
 */
export async function lockKeyMaterial(trx: Transaction<Database>, thumbprint: string): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${thumbprint}, 4207))`.execute(trx)
  const { rows } = await sql<{ isTaken: boolean }>`
    select exists (select from keys where thumbprint = ${thumbprint})
           or exists (select from resource_server_keys where thumbprint = ${thumbprint}) as is_taken`.execute(
    trx,
  )
  return rows[0]?.isTaken === true
}

/**
 * Stores a key. Violates `keys_thumbprint_key` when any account has or had that material, and
 * `keys_account_id_kid_key` when this account has or had that kid.
 */
export function insertKey(
  trx: Transaction<Database>,
  key: Omit<NewKey, 'publicKey'> & { publicKey: PublicJwk | null },
): Promise<KeyRow> {
  return trx
    .insertInto('keys')
    .values({ ...key, publicKey: key.publicKey === null ? null : JSON.stringify(key.publicKey) })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Changes a key; `endTokens` ends for good all tokens that it obtained. */
export function updateKey(
  trx: Transaction<Database>,
  id: string,
  changes: KeyChanges,
  options: { endTokens: boolean; now: Date },
): Promise<KeyRow> {
  return trx
    .updateTable('keys')
    .set({
      ...changes,
      ...(options.endTokens ? { tokenGeneration: sql<number>`token_generation + 1` } : {}),
      updatedAt: options.now,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Ends for good all tokens that API tokens of an organization obtained. */
export async function endTokensOfApiTokens(
  trx: Transaction<Database>,
  organizationId: string,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('keys')
    .set({ tokenGeneration: sql<number>`token_generation + 1`, updatedAt: now })
    .where('type', '=', 'api_token')
    .where('status', '!=', 'revoked')
    .where('accountId', 'in', (select) =>
      select.selectFrom('accounts').select('id').where('organizationId', '=', organizationId),
    )
    .execute()
}

/** The accounts of an organization that have an API token which is not revoked. */
export async function listApiTokenHolders(
  trx: Transaction<Database>,
  organizationId: string,
): Promise<string[]> {
  const rows = await trx
    .selectFrom('keys as k')
    .innerJoin('accounts as a', 'a.id', 'k.accountId')
    .select('a.id')
    .distinct()
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '!=', 'deleted')
    .where('k.type', '=', 'api_token')
    .where('k.status', '!=', 'revoked')
    .execute()
  return rows.map(({ id }) => id)
}

/** Revokes every key of an account that is not revoked, and answers their ids. */
export async function revokeKeys(
  trx: Transaction<Database>,
  accountId: string,
  now: Date,
): Promise<string[]> {
  const rows = await trx
    .updateTable('keys')
    .set({ status: 'revoked', updatedAt: now })
    .where('accountId', '=', accountId)
    .where('status', '!=', 'revoked')
    .returning('id')
    .execute()
  return rows.map((row) => row.id)
}
