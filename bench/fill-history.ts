import type pg from 'pg'
import { type Countersign, SCOPE } from './countersign.ts'
import { connectToDatabase } from './footprint.ts'
import { defineMadeIds, FILLING } from './made-ids.ts'

const DAY_MILLISECONDS = 86_400_000
const ASSERTION_MILLISECONDS = 3_600_000
/** The default of COUNTERSIGN_GRANT_RECORD_RETENTION_DAYS. */
const RETENTION_DAYS = 30
const CONNECTIONS = 2

type Part = { partition: string; from: number; to: number; rows: number; isNew: boolean }

/**
 * Writes as many grant records as asked for, evenly over the days of the retention up to `now` (milliseconds), as tokens
 * of all callers in turn, half of them opaque: what a month leaves of an installation that never sleeps.
 *
 * A partition is filled before it has indexes and then attached, which makes them; those of today and yesterday, which
 * the server has made, are filled as they are. At the end all are vacuumed and analyzed, as they would have been long since.
 */
export async function fillHistory(countersign: Countersign, records: number, now: number): Promise<void> {
  const database = await connectToDatabase(countersign)
  const parts = await planParts(database, records, now)
  await database.query(
    'insert into tallied_days select to_timestamp($1) - n * interval $$1 day$$ from generate_series(1, 62) n on conflict do nothing',
    [startOfDay(now) / 1000],
  )
  await database.end()
  await Promise.all(Array.from({ length: CONNECTIONS }, () => fillParts(countersign, parts)))
}

async function planParts(database: pg.Client, records: number, now: number): Promise<Part[]> {
  const { rows } = await database.query(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'grant_records'::regclass",
  )
  const existing = new Set(rows.map(({ name }) => name))
  const first = startOfDay(now) - (RETENTION_DAYS - 1) * DAY_MILLISECONDS
  const end = now + ASSERTION_MILLISECONDS
  const parts: Part[] = []
  for (let from = first; from < end; from += DAY_MILLISECONDS) {
    const partition = `grant_records_${new Date(from).toISOString().slice(0, 10).replaceAll('-', '')}`
    const to = Math.min(from + DAY_MILLISECONDS, end)
    const rows = Math.round((records * (to - from)) / (end - first))
    parts.push({ partition, from, to, rows, isNew: !existing.has(partition) })
  }
  return parts
}

async function fillParts(countersign: Countersign, parts: Part[]): Promise<void> {
  const database = await connectToDatabase(countersign)
  await database.query(FILLING)
  await defineMadeIds(database)
  await database.query(HOLDERS)
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const { partition, from, to, rows, isNew } = part
    if (isNew) await database.query(`create table ${partition} (like grant_records)`)
    await database.query(insertInto(partition), [from, (to - from) / rows, rows, SCOPE])
    if (isNew) {
      const day = (at: number) => database.escapeLiteral(new Date(at).toISOString())
      await database.query(
        `alter table grant_records attach partition ${partition}
         for values from (${day(from)}) to (${day(from + DAY_MILLISECONDS)})`,
      )
    }
    await database.query(`vacuum analyze ${partition}`)
  }
  await database.query('checkpoint')
  await database.end()
}

/** Whose tokens they are. */
const HOLDERS = `
  create temporary table holders as
    select row_number() over (order by md5(k.id)) - 1 as n, k.account_id, k.id as key_id, a.organization_id,
           p.resource_server_id, s.token_format
    from keys k join accounts a on a.id = k.account_id
    join account_permissions p on p.account_id = a.id join resource_servers s on s.id = p.resource_server_id
    where a.slug like 'caller-%' and k.kid is not null;
  alter table holders add primary key (n);
  analyze holders`

function insertInto(partition: string): string {
  return `
    insert into ${partition} (
      account_id, id, assertion_expires_at, jti, organization_id, key_id, resource_server_id, subject, scope,
      token_format, token_digest, token_generation, issued_at, expires_at, client_ip, user_agent, request_id)
    select h.account_id, pg_temp.made_id('tok', t.ms), to_timestamp(t.second), gen_random_uuid()::text,
           h.organization_id, h.key_id, h.resource_server_id, h.account_id, $4, h.token_format,
           case when h.token_format = 'opaque' then sha256(uuid_send(gen_random_uuid())) end, 0,
           to_timestamp(t.second - ${ASSERTION_MILLISECONDS / 1000}),
           to_timestamp(t.second - ${ASSERTION_MILLISECONDS / 1000} + 900),
           '203.0.113.' || h.n % 256, 'google-auth-library-nodejs/10.9.1', pg_temp.made_id('req', t.ms)
    from (
      select n, floor(($1::float8 + n * $2::float8) / 1000)::bigint as second,
             ($1::float8 + n * $2::float8)::bigint - ${ASSERTION_MILLISECONDS} as ms
      from generate_series(0, $3::integer - 1) n offset 0
    ) t join holders h on h.n = t.n % (select count(*) from holders)`
}

function startOfDay(time: number): number {
  return Math.floor(time / DAY_MILLISECONDS) * DAY_MILLISECONDS
}
