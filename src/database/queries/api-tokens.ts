import type { Pool } from '../connect.ts'
import { selectTokens, type TokenRecord, type TokenRow, toTokenRecord } from './grant-records.ts'

/** An API token as presented, and where it is to count. */
export type ApiTokenLookup = {
  keyId: string
  digest: Buffer
  /** Id or identifier of the resource server. */
  resourceServer: string
  /** Who used it, where that is known: a resource server that introspects does not tell. */
  ip: string | null
  userAgent: string | null
}

/**
 * `isAllowed`: whether the organization lets its accounts have API tokens, and the account may use them as they are,
 * without a proof.
 */
export type ApiTokenRecord = TokenRecord & { isAllowed: boolean }

/**
 * An API token looks like a token that its key has issued to itself, for the resource server at hand and with all
 * that the account may do there: so every answer about tokens is made in one way.
 */
const FIND_API_TOKENS = `
  with asked as (
    select * from unnest($2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[])
      with ordinality as t (key_id, digest, resource_server, ip, user_agent, ordinal)
  ), found as (${selectTokens(`asked q
    cross join lateral (
      select t.id, t.id as key_id, t.account_id, t.account_id as subject, 'opaque' as token_format,
             t.created_at as issued_at, t.expires_at, null::timestamptz as revoked_at,
             null::jsonb as confirmation,
             s.id as resource_server_id,
             -- The present one: a key that is enabled again is good again, what it had issued is not.
             (select u.token_generation + v.token_generation + t.token_generation
              from accounts u join organizations v on v.id = u.organization_id
              where u.id = t.account_id) as token_generation,
             (select string_agg(distinct p.permission, ' ' order by p.permission)
              from effective_permissions p
              where p.account_id = t.account_id and p.resource_server_id = s.id) as scope
      from keys t
      join resource_servers s on q.resource_server in (s.id, s.identifier)
      where t.id = q.key_id and t.type = 'api_token' and t.secret_digest = q.digest
    ) g`)}
  ), judged as (
    select f.*, (o.settings ->> 'allowApiTokens')::boolean
                and (a.assertion_policy ->> 'requireDpop')::boolean is not true as is_allowed
    from found f join organizations o on o.id = f.organization_id join accounts a on a.id = f.account_id
  ), idle as (
    -- At most one write a minute and key; skip locked, so that no batch ever waits for another.
    select k.id from keys k
    where k.id in (
        select j.key_id from judged j
        where j.is_allowed and j.key_status = 'active' and j.account_status = 'active'
          and j.organization_status = 'active' and (j.key_expires_at is null or j.key_expires_at > $1))
      and (k.last_used_at is null or k.last_used_at < $1::timestamptz - interval '1 minute')
    for no key update skip locked
  ), noted as (
    update keys k set last_used_at = $1, last_used_ip = a.ip, last_used_user_agent = a.user_agent
    from judged j join asked a on a.ordinal = j.ordinal
    where k.id = j.key_id and k.id in (select i.id from idle i)
  )
  select * from judged`

/**
 * Finds the API tokens of a batch of look-ups with the present state of key, account, organization and
 * permissions, in one round trip, and notes their use, at most once a minute each. Answers in the order given;
 * undefined where there is no such token.
 */
export async function findApiTokens(
  pool: Pool,
  now: number,
  lookups: readonly ApiTokenLookup[],
): Promise<(ApiTokenRecord | undefined)[]> {
  const { rows } = await pool.query<TokenRow & { is_allowed: boolean }>({
    name: 'find-api-tokens',
    text: FIND_API_TOKENS,
    values: [
      new Date(now).toISOString(),
      lookups.map((lookup) => lookup.keyId),
      lookups.map((lookup) => lookup.digest),
      lookups.map((lookup) => lookup.resourceServer),
      lookups.map((lookup) => lookup.ip),
      lookups.map((lookup) => lookup.userAgent),
    ],
  })
  const records: (ApiTokenRecord | undefined)[] = new Array(lookups.length).fill(undefined)
  for (const row of rows) records[row.ordinal - 1] = { ...toTokenRecord(row), isAllowed: row.is_allowed }
  return records
}
