import type { Pool } from '../connect.ts'

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

/** The use of an account's assertion by which it gets no token, such as to authenticate. */
export type AccountJtiUse = { accountId: string; jti: string /** As of `JtiUse`. */; expiresAt: number }

const CLAIM_JTIS = `
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
  const { rows } = await pool.query<{ owner: string; digest: Buffer; expires_at: Date }>({
    name: 'claim-jtis',
    text: CLAIM_JTIS,
    values: [
      uses.map((use) => use.owner),
      uses.map((use) => use.digest),
      uses.map((use) => new Date(use.expiresAt).toISOString()),
    ],
  })
  const claimed = new Set(rows.map((row) => toName({ ...row, expiresAt: row.expires_at.getTime() })))
  // Of equal ones in the batch the first has it.
  return uses.map((use) => claimed.delete(toName(use)))
}

/**
 * The same for assertions of accounts, whose `jti`s are one set with those of grant records: one assertion serves
 * either to authenticate or to get a token, once.
 */
export async function claimAccountJtis(pool: Pool, uses: readonly AccountJtiUse[]): Promise<boolean[]> {
  const { rows } = await pool.query<{ ordinal: number }>({
    name: 'claim-account-jtis',
    text: 'select ordinal::int as ordinal from claim_account_jtis($1, $2, $3)',
    values: [
      uses.map((use) => use.accountId),
      uses.map((use) => use.jti),
      uses.map((use) => new Date(use.expiresAt).toISOString()),
    ],
  })
  const claimed = new Set(rows.map((row) => row.ordinal - 1))
  return uses.map((_, position) => claimed.has(position))
}

function toName({ owner, digest, expiresAt }: JtiUse): string {
  return `${owner} ${digest.toString('base64url')} ${expiresAt}`
}
