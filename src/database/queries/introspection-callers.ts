import type { Pool } from '../connect.ts'

/** A resource server's credentials as presented: its id and the digest of its secret. */
export type SecretLookup = { resourceServerId: string; digest: Buffer /** Milliseconds. */; now: number }

const FIND_CALLERS = `
  with asked as (
    select * from unnest($1::text[], $2::bytea[]) with ordinality as q (resource_server_id, digest, ordinal)
  ), found as (
    select a.ordinal, s.id, s.resource_server_id, s.last_used_at
    from asked a
    join resource_server_secrets s on s.resource_server_id = a.resource_server_id and s.digest = a.digest
  ), idle as (
    select s.id from resource_server_secrets s
    where s.id in (select f.id from found f)
      and (s.last_used_at is null or s.last_used_at < $3::timestamptz - interval '1 minute')
    for no key update skip locked
  ), used as (
    update resource_server_secrets s set last_used_at = $3 from idle i where s.id = i.id
  )
  select ordinal::int as ordinal, resource_server_id from found`

/**
 * Finds the resource servers whose secrets were presented, and notes their use, at most once a minute each.
 * Answers in the order given; undefined where id and secret do not belong together.
 */
export async function findIntrospectionCallers(
  pool: Pool,
  lookups: readonly SecretLookup[],
): Promise<(string | undefined)[]> {
  const now = lookups.reduce((latest, lookup) => Math.max(latest, lookup.now), 0)
  const { rows } = await pool.query<{ ordinal: number; resource_server_id: string }>({
    name: 'find-introspection-callers',
    text: FIND_CALLERS,
    values: [
      lookups.map((lookup) => lookup.resourceServerId),
      lookups.map((lookup) => lookup.digest),
      new Date(now).toISOString(),
    ],
  })
  const callers: (string | undefined)[] = new Array(lookups.length).fill(undefined)
  for (const row of rows) callers[row.ordinal - 1] = row.resource_server_id
  return callers
}
