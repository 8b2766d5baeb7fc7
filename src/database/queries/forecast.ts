import { type Kysely, sql } from 'kysely'
import type { Database } from '../tables.ts'

/** A grant that is not going to be made. Times in milliseconds, as of `NewGrantRecord`. */
export type ForecastLookup = {
  accountId: string
  jti: string | undefined
  assertionExpiresAt: number
  now: number
}

export type Forecast = {
  /** Token requests that the account has made in the present minute of the clock; 0 without a limit. */
  requests: number
  /** The use that the `jti` has had; undefined for none. */
  use: JtiUse | undefined
}

/** With the token that it was used for; null where it was used to authenticate. */
export type JtiUse = { tokenId: string | null; requestId: string | null }

/**
 * What `record_grants` would meet, looked up without claiming or counting anything: the same unique keys, of
 * `grant_records` (decision 1) and of `used_jtis` (decision 16).
 */
export async function forecastGrant(db: Kysely<Database>, lookup: ForecastLookup): Promise<Forecast> {
  const { accountId, jti = null, now } = lookup
  const expiresAt = new Date(lookup.assertionExpiresAt)
  const { rows } = await sql<{
    requests: number
    tokenId: string | null
    requestId: string | null
    used: boolean
  }>`
    select coalesce((select c.requests from token_request_counts c
                     where c.account_id = ${accountId}
                       and c.minute >= date_trunc('minute', ${new Date(now)}::timestamptz)), 0) as requests,
           g.id as token_id, g.request_id,
           g.id is not null or exists (
             select from used_jtis u
             where u.owner = ${accountId} and u.digest = sha256(convert_to(${jti}::text, 'UTF8'))
               and u.expires_at = ${expiresAt}
           ) as used
    from (values (1)) as one
    left join lateral (
      select r.id, r.request_id from grant_records r
      where r.account_id = ${accountId} and r.jti = ${jti}::text and r.assertion_expires_at = ${expiresAt}
    ) g on true`.execute(db)
  const [row] = rows
  if (row === undefined) throw new Error('one row was asked for')
  const { requests, used, tokenId, requestId } = row
  return { requests, use: used ? { tokenId, requestId } : undefined }
}
