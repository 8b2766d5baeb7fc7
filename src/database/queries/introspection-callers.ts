import type { Pool } from '../connect.ts'

/** How a resource server is named: by its id, or by its identifier, the audience of its tokens. */
export type NamedResourceServer = { id: string } | { identifier: string }

/** A resource server's credentials as presented: its name and the digest of its secret. */
export type SecretLookup = { named: NamedResourceServer; digest: Buffer /** Milliseconds. */; now: number }

const FIND_CALLERS = `
  with asked as (
    select * from unnest($1::text[], $2::text[], $3::bytea[]) with ordinality as q (id, identifier, digest, ordinal)
  ), found as (
    select a.ordinal, s.id, s.resource_server_id, s.last_used_at
    from asked a
    join resource_server_secrets s on s.digest = a.digest
    join resource_servers r on r.id = s.resource_server_id and (r.id = a.id or r.identifier = a.identifier)
  ), idle as (
    select s.id from resource_server_secrets s
    where s.id in (select f.id from found f)
      and (s.last_used_at is null or s.last_used_at < $4::timestamptz - interval '1 minute')
    for no key update skip locked
  ), used as (
    update resource_server_secrets s set last_used_at = $4 from idle i where s.id = i.id
  )
  select ordinal::int as ordinal, resource_server_id from found`

/**
 * Finds the resource servers whose secrets were presented, and notes their use, at most once a minute each.
 * Answers their ids in the order given; undefined where name and secret do not belong together.
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
      lookups.map(({ named }) => ('id' in named ? named.id : null)),
      lookups.map(({ named }) => ('id' in named ? null : named.identifier)),
      lookups.map((lookup) => lookup.digest),
      new Date(now).toISOString(),
    ],
  })
  const callers: (string | undefined)[] = new Array(lookups.length).fill(undefined)
  for (const row of rows) callers[row.ordinal - 1] = row.resource_server_id
  return callers
}
