import type pg from 'pg'

/**
 * Defines `pg_temp.made_id(prefix, milliseconds)`: ids in SQL that look and sort like those of src/ids.ts, for rows by
 * the million. Their randomness is good enough to be filled in, and for nothing else.
 */
export async function defineMadeIds(database: pg.Client): Promise<void> {
  const characters = Array.from(
    { length: 10 },
    (_, index) =>
      `substr('0123456789abcdefghjkmnpqrstvwxyz', (ms >> ${(9 - index) * 5} & 31)::integer + 1, 1)`,
  )
  await database.query(`
    create or replace function pg_temp.made_id(prefix text, ms bigint) returns text language sql volatile as $$
      select prefix || '_' || ${characters.join(' || ')} || substr(md5(random()::text), 1, 26)
    $$`)
}

/** A session that fills: nobody waits for its commits, and rows refer to what this program has made itself. */
export const FILLING = `
  set synchronous_commit = off; set session_replication_role = replica; set maintenance_work_mem = '512MB';
  set work_mem = '256MB'; set timezone = 'UTC'`
