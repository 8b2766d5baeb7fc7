import type { Db, Pool } from '../connect.ts'

/** The use of a JWT that may be used once. */
export type JtiUse = {
  /** Whose ids these are, so that nobody uses up another's: a resource server, or the thumbprint of a key. */
  owner: string
  /** SHA-256 of what makes the JWT one: its `jti`, and whatever else belongs to it. */
  digest: Buffer
  /**
   * Milliseconds, on whole seconds: a function of the JWT alone, since a replay must meet the row that it repeats.
   * Within a day of now; the row is kept until then and dropped with its partition.
   */
  expiresAt: number
}

/** The use of a resource server's assertion: it authenticates with one of its keys. */
export type CallerJtiUse = JtiUse & { keyId: string }

/** The use of an account's assertion by which it gets no token: it authenticates with one of its keys. */
export type AccountJtiUse = {
  accountId: string
  keyId: string
  jti: string
  /** As of `JtiUse`. */
  expiresAt: number
  ip: string
  userAgent: string | null
}

const INSERT_JTIS = `
  insert into used_jtis (owner, digest, expires_at)
  select * from unnest($1::text[], $2::bytea[], $3::timestamptz[]) as t (owner, digest, expires_at)
  -- In one order, so that no two batches wait for each other.
  order by t.owner, t.digest, t.expires_at
  on conflict do nothing
  returning owner, digest, expires_at`

/**
 * Claims a batch of JWTs, each for whoever is first: on any number of nodes, once (promise 2). When this resolves,
 * the claims are on disk. Answers in the order given: whether this use was the first one.
 */
export async function claimJtis(pool: Pool, uses: readonly JtiUse[]): Promise<boolean[]> {
  const { rows } = await pool.query<ClaimedRow>({
    name: 'claim-jtis',
    text: INSERT_JTIS,
    values: toColumns(uses),
  })
  return toFirstUses(uses, rows)
}

/** The same for one thing that may be used once, off the request path of tokens. */
export async function claimUse(db: Db, { owner, digest, expiresAt }: JtiUse): Promise<boolean> {
  const rows = await db
    .insertInto('usedJtis')
    .values({ owner, digest, expiresAt: new Date(expiresAt) })
    .onConflict((conflict) => conflict.doNothing())
    .returning('owner')
    .execute()
  return rows.length === 1
}

/** At most one write a minute and key; skip locked, so that no batch ever waits for another. */
const CLAIM_CALLER_JTIS = `
  with claimed as (${INSERT_JTIS}),
  idle as (
    select k.id from resource_server_keys k
    where k.id in (select q.key_id
                   from claimed c
                   join unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::text[]) as q (owner, digest, expires_at, key_id)
                     on q.owner = c.owner and q.digest = c.digest and q.expires_at = c.expires_at)
      and (k.last_used_at is null or k.last_used_at < $5::timestamptz - interval '1 minute')
    for no key update skip locked
  ), noted as (
    update resource_server_keys k set last_used_at = $5 from idle i where k.id = i.id
  )
  select owner, digest, expires_at from claimed`

/** The same for resource servers that authenticate, and notes that their keys were used. `now` in milliseconds. */
export async function claimCallerJtis(
  pool: Pool,
  now: number,
  uses: readonly CallerJtiUse[],
): Promise<boolean[]> {
  const { rows } = await pool.query<ClaimedRow>({
    name: 'claim-caller-jtis',
    text: CLAIM_CALLER_JTIS,
    values: [...toColumns(uses), uses.map((use) => use.keyId), new Date(now).toISOString()],
  })
  return toFirstUses(uses, rows)
}

const CLAIM_ACCOUNT_JTIS = `
  with claimed as (select c.ordinal from claim_account_jtis($1, $2, $3) as c),
  used as (
    select distinct on (q.key_id) q.key_id, q.ip, q.user_agent
    from claimed c
    join unnest($4::text[], $5::text[], $6::text[]) with ordinality as q (key_id, ip, user_agent, ordinal)
      on q.ordinal = c.ordinal
    order by q.key_id, q.ordinal
  ), idle as (
    select k.id from keys k
    where k.id in (select u.key_id from used u)
      and (k.last_used_at is null or k.last_used_at < $7::timestamptz - interval '1 minute')
    for no key update skip locked
  ), noted as (
    update keys k set last_used_at = $7, last_used_ip = u.ip, last_used_user_agent = u.user_agent
    from used u where u.key_id = k.id and k.id in (select i.id from idle i)
  )
  select ordinal::int as ordinal from claimed`

/**
 * The same for accounts that authenticate. Their `jti`s are one set with those of grant records: one assertion serves
 * either to authenticate or to get a token, once. `now` in milliseconds.
 */
export async function claimAccountJtis(
  pool: Pool,
  now: number,
  uses: readonly AccountJtiUse[],
): Promise<boolean[]> {
  const { rows } = await pool.query<{ ordinal: number }>({
    name: 'claim-account-jtis',
    text: CLAIM_ACCOUNT_JTIS,
    values: [
      uses.map((use) => use.accountId),
      uses.map((use) => use.jti),
      uses.map((use) => new Date(use.expiresAt).toISOString()),
      uses.map((use) => use.keyId),
      uses.map((use) => use.ip),
      uses.map((use) => use.userAgent),
      new Date(now).toISOString(),
    ],
  })
  const claimed = new Set(rows.map((row) => row.ordinal - 1))
  return uses.map((_, position) => claimed.has(position))
}

type ClaimedRow = { owner: string; digest: Buffer; expires_at: Date }

function toColumns(uses: readonly JtiUse[]): [string[], Buffer[], string[]] {
  return [
    uses.map((use) => use.owner),
    uses.map((use) => use.digest),
    uses.map((use) => new Date(use.expiresAt).toISOString()),
  ]
}

/** Of equal ones in the batch the first has it. */
function toFirstUses(uses: readonly JtiUse[], rows: readonly ClaimedRow[]): boolean[] {
  const claimed = new Set(rows.map((row) => toName({ ...row, expiresAt: row.expires_at.getTime() })))
  return uses.map((use) => claimed.delete(toName(use)))
}

function toName({ owner, digest, expiresAt }: JtiUse): string {
  return `${owner} ${digest.toString('base64url')} ${expiresAt}`
}
