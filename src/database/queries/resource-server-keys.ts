import type { Kysely, Transaction } from 'kysely'
import type { Pool } from '../connect.ts'
import type { Database, KeyAlgorithm, KeyStatus, PublicJwk, ResourceServerKeyRow } from '../tables.ts'
import type { IssuerKey } from './issuers.ts'
import type { Page } from './page.ts'

/** A resource server that authenticates with an assertion, and the keys that may have signed it. */
export type Caller = {
  resourceServerId: string
  /** With a `kid`: that key, in whatever state. Without: the active keys, newest first. */
  keys: readonly IssuerKey[]
}

export type CallerLookup = {
  resourceServerId: string
  kid: string | undefined
  /** Milliseconds: expired keys are not tried for an assertion without `kid`. */
  now: number
}

/** As for assertions of accounts: without `kid` this many keys are tried at most. */
const MAX_CANDIDATE_KEYS = 5

const FIND_CALLERS = `
  select q.ordinal::int as ordinal, rs.id as resource_server_id,
         k.id as key_id, k.algorithm, k.public_key, k.status, k.expires_at
  from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as q (resource_server_id, kid, now, ordinal)
  join resource_servers rs on rs.id = q.resource_server_id
  left join lateral (
    select * from resource_server_keys c
    where c.resource_server_id = rs.id
      and case when q.kid is not null then c.id = q.kid or c.kid = q.kid
               else c.status = 'active' and (c.expires_at is null or c.expires_at > q.now) end
    order by c.id desc
    limit ${MAX_CANDIDATE_KEYS}
  ) k on true
  order by q.ordinal, k.id desc`

/**
 * Finds the resource servers that have issued a batch of assertions, with their candidate keys. Answers in the
 * order of the look-ups; undefined where there is no such resource server.
 */
export async function findCallers(
  pool: Pool,
  lookups: readonly CallerLookup[],
): Promise<(Caller | undefined)[]> {
  const { rows } = await pool.query<CallerRow>({
    name: 'find-callers',
    text: FIND_CALLERS,
    values: [
      lookups.map((lookup) => lookup.resourceServerId),
      lookups.map((lookup) => lookup.kid ?? null),
      lookups.map((lookup) => new Date(lookup.now).toISOString()),
    ],
  })
  const callers: (Caller | undefined)[] = new Array(lookups.length).fill(undefined)
  for (const row of rows) {
    const keys = [...(callers[row.ordinal - 1]?.keys ?? []), ...toKeys(row)]
    callers[row.ordinal - 1] = { resourceServerId: row.resource_server_id, keys }
  }
  return callers
}

type CallerRow = { ordinal: number; resource_server_id: string } & (
  | { key_id: null }
  | {
      key_id: string
      algorithm: KeyAlgorithm
      public_key: PublicJwk
      status: KeyStatus
      expires_at: Date | null
    }
)

function toKeys(row: CallerRow): IssuerKey[] {
  if (row.key_id === null) return []
  return [
    {
      id: row.key_id,
      type: 'public_key',
      algorithm: row.algorithm,
      publicKey: row.public_key,
      status: row.status,
      notBefore: null,
      expiresAt: row.expires_at,
    },
  ]
}

/** What of a resource server's key can change. Key material never does. */
export type ResourceServerKeyChanges = { name?: string; status?: KeyStatus; expiresAt?: Date | null }

export type NewResourceServerKey = Omit<
  ResourceServerKeyRow,
  'status' | 'updatedAt' | 'lastUsedAt' | 'publicKey'
> & { publicKey: PublicJwk }

/** A resource server's keys, revoked ones only when asked for. */
export function listResourceServerKeys(
  db: Kysely<Database>,
  resourceServerId: string,
  options: { includeRevoked: boolean },
  page: Page,
): Promise<ResourceServerKeyRow[]> {
  return db
    .selectFrom('resourceServerKeys')
    .selectAll()
    .where('resourceServerId', '=', resourceServerId)
    .$if(!options.includeRevoked, (query) => query.where('status', '!=', 'revoked'))
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** The key with that id of that resource server, also a revoked one. */
export function findResourceServerKey(
  db: Kysely<Database>,
  resourceServerId: string,
  id: string,
): Promise<ResourceServerKeyRow | undefined> {
  return db
    .selectFrom('resourceServerKeys')
    .selectAll()
    .where('resourceServerId', '=', resourceServerId)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** How many keys a resource server has that are not revoked. */
export async function countResourceServerKeys(
  db: Kysely<Database>,
  resourceServerId: string,
): Promise<number> {
  const row = await db
    .selectFrom('resourceServerKeys')
    .select((select) => select.fn.countAll<string>().as('count'))
    .where('resourceServerId', '=', resourceServerId)
    .where('status', '!=', 'revoked')
    .executeTakeFirstOrThrow()
  return Number(row.count)
}

/**
 * Stores a key. Violates `resource_server_keys_thumbprint_key` when any resource server has or had that material,
 * and `resource_server_keys_resource_server_id_kid_key` when this one has or had that kid.
 */
export function insertResourceServerKey(
  trx: Transaction<Database>,
  key: NewResourceServerKey,
): Promise<ResourceServerKeyRow> {
  return trx
    .insertInto('resourceServerKeys')
    .values({
      ...key,
      publicKey: JSON.stringify(key.publicKey),
      status: 'active',
      updatedAt: key.createdAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Changes a key. */
export function updateResourceServerKey(
  trx: Transaction<Database>,
  id: string,
  changes: ResourceServerKeyChanges,
  now: Date,
): Promise<ResourceServerKeyRow> {
  return trx
    .updateTable('resourceServerKeys')
    .set({ ...changes, updatedAt: now })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}
