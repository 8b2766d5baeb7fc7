import { type Kysely, type RawBuilder, sql } from 'kysely'
import { firstIdOf } from '../../ids.ts'
import type { Database, GrantRecordRow, SigningAlgorithm } from '../tables.ts'
import { earliestAssertion, onlyLive } from './grant-records.ts'

/** How many tokens are good now. `isMore`: at least so many, since there are more records than were looked at. */
export type LiveTokens = { tokens: number; isMore: boolean }

/** A signing key, as far as that says which tokens it has signed. */
export type SigningPeriod = { algorithm: SigningAlgorithm; activatedAt: Date | null; retiredAt: Date | null }

/** No token lives longer (`token_lifetime_seconds`), so older records are not looked at. */
const LONGEST_MILLISECONDS = 86_400_000
/**
 * How many records are looked at. Whoever is about to stop something must be told in time, also where tokens are issued
 * by the million: that there are many is then all that they need to know.
 */
const MOST = 50_000
// The inner limits below keep the planner from joining first, which would read whole partitions.

/** Live tokens of an organization's accounts. `now` in milliseconds. */
export function countLiveTokensOfOrganization(
  db: Kysely<Database>,
  organizationId: string,
  now: number,
): Promise<LiveTokens> {
  const records = sql<GrantRecordRow>`(
    select r.* from grant_records r
    where r.organization_id = ${organizationId} and ${isRecent(now)}
    order by r.id desc limit ${sql.lit(MOST)})`
  return count(db, records, now)
}

/** Live tokens for a resource server: all are of accounts that have a permission of it. `now` in milliseconds. */
export function countLiveTokensOfResourceServer(
  db: Kysely<Database>,
  resourceServerId: string,
  now: number,
): Promise<LiveTokens> {
  const records = sql<GrantRecordRow>`(
    select r.*
    from (select distinct account_id from effective_permissions where resource_server_id = ${resourceServerId}) h
    cross join lateral (
      select r.* from grant_records r where r.account_id = h.account_id and ${isRecent(now)}
      order by r.id desc limit ${sql.lit(MOST)}
    ) r
    limit ${sql.lit(MOST)})`
  return count(db, records, now, sql<boolean>`g.resource_server_id = ${resourceServerId}`)
}

/**
 * Live JWT access tokens that a signing key has signed: those of its algorithm that were issued while it was the active
 * one. Which key it was stands in no record (docs/decisions/0020), so the tokens of a resource server that has changed
 * its algorithm within the day are counted for another key. `now` in milliseconds.
 */
export async function countLiveTokensOfSigningKey(
  db: Kysely<Database>,
  { algorithm, activatedAt, retiredAt }: SigningPeriod,
  now: number,
): Promise<LiveTokens> {
  if (activatedAt === null) return { tokens: 0, isMore: false }
  const first = firstIdOf('tok', activatedAt.getTime())
  const isEarlier = retiredAt === null ? sql`true` : sql`r.id < ${firstIdOf('tok', retiredAt.getTime())}`
  // By organization: there is an index that begins with it and goes on with the time.
  const records = sql<GrantRecordRow>`(
    select r.*
    from organizations o
    cross join lateral (
      select r.* from grant_records r
      where r.organization_id = o.id and ${isRecent(now)} and r.id >= ${first} and ${isEarlier}
      order by r.id desc limit ${sql.lit(MOST)}
    ) r
    limit ${sql.lit(MOST)})`
  const isSignedSo = sql<boolean>`g.token_format = 'jwt' and g.resource_server_id in (
    select id from resource_servers where signing_algorithm = ${algorithm})`
  return count(db, records, now, isSignedSo)
}

function isRecent(now: number): RawBuilder<boolean> {
  const first = firstIdOf('tok', now - LONGEST_MILLISECONDS)
  return sql`r.id >= ${first} and r.assertion_expires_at >= ${earliestAssertion(now)}`
}

async function count(
  db: Kysely<Database>,
  records: RawBuilder<GrantRecordRow>,
  now: number,
  condition: RawBuilder<boolean> = sql`true`,
): Promise<LiveTokens> {
  const [{ tokens }, { seen }] = await Promise.all([
    onlyLive(db, records, now)
      .where(condition)
      .select(sql<string>`count(*)`.as('tokens'))
      .executeTakeFirstOrThrow(),
    db.selectFrom(records.as('r')).select(sql<string>`count(*)`.as('seen')).executeTakeFirstOrThrow(),
  ])
  return { tokens: Number(tokens), isMore: Number(seen) >= MOST }
}
