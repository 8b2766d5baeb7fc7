import { type Kysely, sql } from 'kysely'
import { firstIdOf } from '../ids.ts'
import type { Database } from './tables.ts'

export const DAY_MILLISECONDS = 86_400_000

/** How far back days are counted: what a chart shows. */
export const TALLIED_DAYS = 30
/** How long tallies are kept. */
export const TALLY_RETENTION_DAYS = 62

/** After a day, for tokens that are being recorded as it ends, and for clocks that lag. */
const GRACE_MILLISECONDS = 3_600_000

const HOUR_MILLISECONDS = 3_600_000
const ACCOUNTS_PER_SLICE = 500

/**
 * Where the records of a day lie: they are kept by the expiry of their assertions, which is before the token by less
 * than a day, or after it by less than two (src/database/queries/issued-tokens.ts).
 */
const EARLIER_MILLISECONDS = DAY_MILLISECONDS
const LATER_MILLISECONDS = 2 * DAY_MILLISECONDS

/** The bounds of a day in grant records. `day` in milliseconds, at midnight UTC. */
export function recordsOfDay(day: number) {
  return recordsBetween(day, day + DAY_MILLISECONDS)
}

/** An id says when its token was made. Both in milliseconds; `end` is not included. */
function recordsBetween(start: number, end: number) {
  return {
    firstId: firstIdOf('tok', start),
    nextId: firstIdOf('tok', end),
    from: new Date(start - EARLIER_MILLISECONDS),
    to: new Date(end + LATER_MILLISECONDS),
  }
}

/** The day of a time, as its midnight in UTC. Both in milliseconds. Pure. */
export function dayOf(time: number): number {
  return Math.floor(time / DAY_MILLISECONDS) * DAY_MILLISECONDS
}

/**
 * Counts the tokens of every day that is over and was not counted yet, as far as all its records are still there:
 * `hasRecordsOf` says whether those of a day are. A day is counted in one transaction, so it is counted whole or not at
 * all, and by one node. `now` in milliseconds. Answers the days.
 */
export async function tallyTokens(
  db: Kysely<Database>,
  now: number,
  hasRecordsOf: (day: number) => boolean,
): Promise<number[]> {
  const today = dayOf(now - GRACE_MILLISECONDS)
  const over = Array.from(
    { length: TALLIED_DAYS },
    (_, index) => today - (TALLIED_DAYS - index) * DAY_MILLISECONDS,
  )
  const { rows } = await sql<{ day: Date }>`
    select day from tallied_days where day >= ${new Date(over[0] ?? today)}`.execute(db)
  const counted = new Set(rows.map(({ day }) => day.getTime()))
  // Records of an assertion that expired as the day began or after it has ended lie beside it.
  const due = over.filter(
    (day) =>
      !counted.has(day) &&
      [day - DAY_MILLISECONDS, day, day + DAY_MILLISECONDS].every((each) => hasRecordsOf(each)),
  )
  for (const day of due) await tallyDay(db, day)
  await sql`delete from tallied_days where day < ${new Date(now - TALLY_RETENTION_DAYS * DAY_MILLISECONDS)}`.execute(
    db,
  )
  return due
}

/**
 * In slices that an index finds, each of them short: a statement may take some seconds and no more. Whoever comes second
 * waits, and finds the day counted.
 */
async function tallyDay(db: Kysely<Database>, day: number): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql`
      insert into tallied_days (day) values (${new Date(day)}) on conflict do nothing returning day`.execute(
      trx,
    )
    if (rows.length === 0) return
    let last = ''
    for (;;) {
      const accounts = await trx
        .selectFrom('accounts')
        .select('id')
        .where('id', '>', last)
        .orderBy('id')
        .limit(ACCOUNTS_PER_SLICE)
        .execute()
      const ids = accounts.map(({ id }) => id)
      for (let from = day; from < day + DAY_MILLISECONDS; from += HOUR_MILLISECONDS) {
        await tallySlice(trx, day, ids, recordsBetween(from, from + HOUR_MILLISECONDS))
      }
      last = ids.at(-1) ?? ''
      if (ids.length < ACCOUNTS_PER_SLICE) return
    }
  })
}

/** Adds what these accounts got in a part of the day. */
async function tallySlice(
  db: Kysely<Database>,
  day: number,
  accountIds: readonly string[],
  { firstId, nextId, from, to }: ReturnType<typeof recordsBetween>,
): Promise<void> {
  await sql`
    insert into token_tallies as t (account_id, day, key_id, tokens)
    select a.id, ${new Date(day)}, g.key_id, g.tokens
    from unnest(${accountIds}::text[]) as a (id)
    cross join lateral (
      select g.key_id, count(*) as tokens from grant_records g
      where g.account_id = a.id and g.id >= ${firstId} and g.id < ${nextId}
        and g.assertion_expires_at >= ${from} and g.assertion_expires_at < ${to}
      group by g.key_id
    ) g
    on conflict (account_id, day, key_id) do update set tokens = t.tokens + excluded.tokens`.execute(db)
}
