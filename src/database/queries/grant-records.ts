import type { AliasedExpression, Kysely, Transaction } from 'kysely'
import { sql } from 'kysely'
import type pg from 'pg'
import type {
  AccountKind,
  AccountStatus,
  Confirmation,
  Database,
  GrantRecordRow,
  GroupAccessLevel,
  KeyStatus,
  OrganizationStatus,
  SigningAlgorithm,
  SigningKeyStatus,
  TokenFormat,
} from '../tables.ts'
import { GROUPS_SCOPE, type GroupClaim } from './groups.ts'
import { joinOne } from './join-one.ts'
import type { JtiUse } from './used-jtis.ts'

/** What an issued token leaves. */
export type NewGrantRecord = {
  id: string
  accountId: string
  keyId: string
  /** Single use per account and assertion expiry, when present (RFC 7523 §3, 7). */
  jti: string | null
  /** Milliseconds. Decides the partition, so that a replay meets the row it repeats. */
  assertionExpiresAt: number
  resourceServerId: string
  subject: string
  /** Space-separated, as in the token. */
  scope: string
  tokenFormat: TokenFormat
  /** SHA-256 of an opaque token; null for a JWT, which is found by account and id. */
  tokenDigest: Buffer | null
  /** Milliseconds, whole seconds. */
  issuedAt: number
  expiresAt: number
  clientIp: string | null
  userAgent: string | null
  requestId: string
  /** How many records the account may leave in a minute of the clock; null for any number. */
  quota: number | null
  /** What the token is bound to; null for nothing. */
  confirmation: Confirmation | null
  /** The proof that the request came with, to be claimed along with the record; null without one. */
  proof: JtiUse | null
  /** With which algorithm the token is to be signed; null for an opaque one. */
  signingAlgorithm: SigningAlgorithm | null
}

/**
 * `replayed`: the jti was claimed before, `proof_replayed`: the proof was. `ended`: key, account or organization
 * stopped being active.
 * `limited`: the account has used its quota up. `used` is how much of it is gone, this request included; null
 * without a quota. `signingKeyId` is the key that the token is to be signed with: the active one when it was recorded.
 */
export type GrantOutcome = {
  outcome: 'recorded' | 'replayed' | 'proof_replayed' | 'ended' | 'limited'
  used: number | null
  signingKeyId: string | null
}

/**
 * The recording comes first: what asks for the keys depends on its outcome, so it sees them as they are once no
 * revocation can come between (`active_signing_keys`).
 */
const RECORD_GRANTS = `
  with recorded as materialized (
    select id, outcome, used
    from record_grants($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                       $18, $19, $20, $21)
  )
  select r.id, r.outcome, r.used,
         (select json_object_agg(s.algorithm, s.id)::text
          from active_signing_keys((select count(*) from recorded)) s) as signing_keys
  from recorded r`

/**
 * Records a batch of grants and claims their `jti`s and proofs in one atomic statement (`record_grants`). When this
 * resolves, the recorded ones are on disk. Answers in the order given.
 */
export async function recordGrants(
  pool: pg.Pool,
  now: number,
  grants: readonly NewGrantRecord[],
): Promise<GrantOutcome[]> {
  const { rows } = await pool.query<RecordedRow>({
    name: 'record-grants',
    text: RECORD_GRANTS,
    values: [
      iso(now),
      grants.map((grant) => grant.id),
      grants.map((grant) => grant.accountId),
      grants.map((grant) => grant.keyId),
      grants.map((grant) => grant.jti),
      grants.map((grant) => iso(grant.assertionExpiresAt)),
      grants.map((grant) => grant.resourceServerId),
      grants.map((grant) => grant.subject),
      grants.map((grant) => grant.scope),
      grants.map((grant) => grant.tokenFormat),
      grants.map((grant) => grant.tokenDigest),
      grants.map((grant) => iso(grant.issuedAt)),
      grants.map((grant) => iso(grant.expiresAt)),
      grants.map((grant) => grant.clientIp),
      grants.map((grant) => grant.userAgent),
      grants.map((grant) => grant.requestId),
      grants.map((grant) => grant.quota),
      grants.map((grant) => grant.confirmation && JSON.stringify(grant.confirmation)),
      grants.map((grant) => grant.proof?.owner ?? null),
      grants.map((grant) => grant.proof?.digest ?? null),
      grants.map((grant) => grant.proof && iso(grant.proof.expiresAt)),
    ],
  })
  const outcomes = new Map(rows.map((row) => [row.id, row]))
  const signingKeys: SigningKeyIds = JSON.parse(rows[0]?.signing_keys ?? '{}')
  return grants.map((grant) => toOutcome(grant, outcomes.get(grant.id), signingKeys))
}

type SigningKeyIds = { [algorithm in SigningAlgorithm]?: string }

type RecordedRow = {
  id: string
  outcome: GrantOutcome['outcome']
  used: number | null
  /** Those that are active, in JSON: the same text in every row. */
  signing_keys: string | null
}

function toOutcome(
  { signingAlgorithm }: NewGrantRecord,
  row: RecordedRow | undefined,
  signingKeys: SigningKeyIds,
): GrantOutcome {
  const signingKeyId = signingAlgorithm === null ? null : (signingKeys[signingAlgorithm] ?? null)
  return { outcome: row?.outcome ?? 'ended', used: row?.used ?? null, signingKeyId }
}

/** A token as the database knows it now: the record and the state of all that it hangs on. */
export type TokenRecord = {
  id: string
  accountId: string
  accountName: string
  accountKind: AccountKind
  accountEmail: string
  accountStatus: AccountStatus
  organizationId: string
  organizationSlug: string
  organizationName: string
  organizationStatus: OrganizationStatus
  organizationIsOperator: boolean
  keyId: string
  keyStatus: KeyStatus
  keyExpiresAt: Date | null
  resourceServerId: string
  audience: string
  subject: string
  tokenFormat: TokenFormat
  /** Of the key that the presented JWT bears the signature of; null for what bears none. */
  signingKeyStatus: SigningKeyStatus | null
  issuedAt: Date
  /** Null for an API token without an end. */
  expiresAt: Date | null
  revokedAt: Date | null
  /** False once key, account or organization was disabled since, even if it is enabled again. */
  generationIsCurrent: boolean
  /** The token's scope as far as the account still has it, and for an end user as far as it still lends it. */
  scope: readonly string[]
  /** The names of the account's roles, sorted. */
  roles: readonly string[]
  groups: readonly GroupClaim[]
  groupsAdministrator: GroupAccessLevel | null
  /** What it is bound to; null for a token that whoever has it may use. */
  confirmation: Confirmation | null
  /** Whether its resource server checks that. */
  bindingIsChecked: boolean
}

/**
 * How a presented token is found: a JWT by what its verified claims say, with the key that verified them, an opaque
 * one by its digest.
 */
export type TokenLookup = { accountId: string; id: string; signingKeyId: string } | { digest: Buffer }

/**
 * A live token's record lies in a partition between these bounds: tokens live a day at most, assertions an
 * hour, and both ends have room for clocks that differ. So a look-up touches the same few partitions however
 * much history is kept.
 */
const LOOK_BACK_MILLISECONDS = 25 * 3_600_000
const LOOK_AHEAD_MILLISECONDS = 2 * 3_600_000

/**
 * Whether the account may, now, use a permission for the token's subject: for itself always, for an end user as
 * its delegation says. For new tokens src/assertion/subject.ts and src/tokens/delegation.ts say the same.
 */
function mayActWith(permission: string): string {
  return `(
    g.subject = g.account_id
    or exists (select from jsonb_array_elements_text(a.delegation -> 'subjects') as allowed (subject)
               where allowed.subject = g.subject
                  or right(allowed.subject, 1) = '*' and starts_with(g.subject, left(allowed.subject, -1)))
       and a.delegation -> 'permissions' @> jsonb_build_array(
             jsonb_build_object('resourceServerId', g.resource_server_id, 'permission', ${permission})))`
}

/**
 * The statement that answers `TokenRow`s for rows `g` that are grant records, or look like them, and the
 * ordinals of the look-ups `q` that they belong to. `signingKeyStatus` is an expression.
 */
export function selectTokens(lookup: string, signingKeyStatus = 'null::text'): string {
  return `
  select q.ordinal::int as ordinal, ${signingKeyStatus} as signing_key_status,
         g.id, g.subject, g.token_format, g.issued_at, g.expires_at, g.revoked_at, g.confirmation,
         a.id as account_id, a.name as account_name, a.kind as account_kind, a.email as account_email,
         a.status as account_status,
         o.id as organization_id, o.slug as organization_slug, o.name as organization_name,
         o.status as organization_status, o.is_operator as organization_is_operator,
         k.id as key_id, k.status as key_status, k.expires_at as key_expires_at,
         rs.id as resource_server_id, rs.identifier as audience,
         g.token_generation = o.token_generation + a.token_generation + k.token_generation as generation_is_current,
         a.groups_administrator,
         g.confirmation is null
           or case when g.confirmation ? 'jkt' then 'dpop' else 'mtls' end = any (rs.sender_constraints)
           as binding_is_checked,
         array(
           select s.name from unnest(string_to_array(g.scope, ' ')) with ordinality as s (name, position)
           where s.name = '${GROUPS_SCOPE}' or ${mayActWith('s.name')} and s.name = any (has.permissions)
           order by s.position
         ) as scope,
         array(select ro.name from account_roles h join roles ro on ro.id = h.role_id
               where h.account_id = a.id order by ro.name collate "C") as roles,
         (select json_agg(json_build_object('id', m.group_id, 'name', gr.name, 'access', m.access)
                          order by m.group_id collate "C")
          from account_groups m join groups gr on gr.id = m.group_id
          where m.account_id = a.id) as groups
  from ${lookup}
  ${joinOne('keys', 'k', 'g.key_id')}
  ${joinOne('accounts', 'a', 'g.account_id')}
  ${joinOne('organizations', 'o', 'a.organization_id')}
  ${joinOne('resource_servers', 'rs', 'g.resource_server_id')}
  -- Looked up by the account alone: any number of accounts may have a permission of a resource server.
  cross join lateral (
    select array_agg(p.permission) filter (where p.resource_server_id = g.resource_server_id) as permissions
    from effective_permissions p
    where p.account_id = a.id
  ) has`
}

const FIND_TOKENS_BY_ID = selectTokens(
  `unnest($3::text[], $4::text[], $5::text[]) with ordinality as q (account_id, id, signing_key_id, ordinal)
   cross join lateral (${lookUp('r.account_id = q.account_id and r.id = q.id')}) g`,
  // A signature that nobody vouches for is as good as one of a key that is gone.
  `coalesce((select s.status from signing_keys s where s.id = q.signing_key_id), 'gone')`,
)
const FIND_TOKENS_BY_DIGEST = selectTokens(
  `unnest($3::bytea[]) with ordinality as q (digest, ordinal)
   cross join lateral (${lookUp('r.token_digest = q.digest')}) g`,
)

/**
 * The record of one look-up. Limited, so that it is looked up before anything is joined. By order, so that among the
 * indexes that begin with the account the primary key is chosen, which has the records of one id side by side: without
 * statistics, as in a partition that has just begun, the planner takes them all for alike.
 */
function lookUp(condition: string): string {
  return `select * from grant_records r
    where ${condition} and r.assertion_expires_at between $1 and $2
    order by r.assertion_expires_at limit 1`
}

/**
 * Finds the tokens of a batch of look-ups with the present state of key, account, organization and
 * permissions. Answers in the order given; undefined where there is no such token.
 */
export async function findTokens(
  pool: pg.Pool,
  now: number,
  lookups: readonly TokenLookup[],
): Promise<(TokenRecord | undefined)[]> {
  const bounds = [iso(now - LOOK_BACK_MILLISECONDS), iso(now + LOOK_AHEAD_MILLISECONDS)]
  const byId: { position: number; accountId: string; id: string; signingKeyId: string }[] = []
  const byDigest: { position: number; digest: Buffer }[] = []
  lookups.forEach((lookup, position) => {
    if ('digest' in lookup) byDigest.push({ position, digest: lookup.digest })
    else byId.push({ position, ...lookup })
  })

  const records: (TokenRecord | undefined)[] = new Array(lookups.length).fill(undefined)
  await Promise.all([
    byId.length > 0 &&
      pool
        .query<TokenRow>({
          name: 'find-tokens-by-id',
          text: FIND_TOKENS_BY_ID,
          values: [
            ...bounds,
            byId.map((lookup) => lookup.accountId),
            byId.map((lookup) => lookup.id),
            byId.map((lookup) => lookup.signingKeyId),
          ],
        })
        .then(({ rows }) => place(rows, byId)),
    byDigest.length > 0 &&
      pool
        .query<TokenRow>({
          name: 'find-tokens-by-digest',
          text: FIND_TOKENS_BY_DIGEST,
          values: [...bounds, byDigest.map((lookup) => lookup.digest)],
        })
        .then(({ rows }) => place(rows, byDigest)),
  ])
  return records

  function place(rows: TokenRow[], from: readonly { position: number }[]): void {
    for (const row of rows) {
      const position = from[row.ordinal - 1]?.position
      if (position !== undefined) records[position] = toTokenRecord(row)
    }
  }
}

/** The record of a token that is good now, and what people call its key and whom it is for. */
export type LiveToken = GrantRecordRow & {
  keyName: string
  resourceServerName: string
  resourceServerIdentifier: string
}

/** An account's tokens that are good now, newest first, older than the cursor when one is given. */
export function listLiveTokens(
  db: Kysely<Database>,
  accountId: string,
  page: { now: number; limit: number; before: string | undefined },
): Promise<LiveToken[]> {
  return namedLiveTokens(db, accountId, page.now)
    .$if(page.before !== undefined, (query) => query.where('g.id', '<', page.before ?? ''))
    .orderBy('g.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** One of them. `now` in milliseconds. */
export function findLiveToken(
  db: Kysely<Database>,
  accountId: string,
  tokenId: string,
  now: number,
): Promise<LiveToken | undefined> {
  return namedLiveTokens(db, accountId, now).where('g.id', '=', tokenId).executeTakeFirst()
}

/** How many tokens of an account are good now, and from how many addresses they were got. */
export type LiveTokenCount = { tokens: number; addresses: number }

/** Of an account, or of one of its keys. `now` in milliseconds. */
export async function countLiveTokens(
  db: Kysely<Database>,
  accountId: string,
  now: number,
  keyId?: string,
): Promise<LiveTokenCount> {
  const { tokens, addresses } = await liveTokens(db, accountId, now)
    .$if(keyId !== undefined, (query) => query.where('g.keyId', '=', keyId ?? ''))
    .select([sql<string>`count(*)`.as('tokens'), sql<string>`count(distinct g.client_ip)`.as('addresses')])
    .executeTakeFirstOrThrow()
  return { tokens: Number(tokens), addresses: Number(addresses) }
}

/** The record of a token that was issued not long ago, in whatever state. `now` in milliseconds. */
export function findGrantRecord(
  db: Kysely<Database>,
  accountId: string,
  tokenId: string,
  now: number,
): Promise<GrantRecordRow | undefined> {
  return db
    .selectFrom('grantRecords')
    .selectAll()
    .where('accountId', '=', accountId)
    .where('id', '=', tokenId)
    .where('assertionExpiresAt', '>=', new Date(now - LOOK_BACK_MILLISECONDS))
    .executeTakeFirst()
}

/** Ends one token. Answers whether there was a live one to end. */
export async function revokeToken(
  trx: Transaction<Database>,
  accountId: string,
  tokenId: string,
  now: number,
): Promise<GrantRecordRow | undefined> {
  return trx
    .updateTable('grantRecords')
    .set({ revokedAt: new Date(now) })
    .where('accountId', '=', accountId)
    .where('id', '=', tokenId)
    .where('revokedAt', 'is', null)
    .where('expiresAt', '>', new Date(now))
    .where('assertionExpiresAt', '>=', new Date(now - LOOK_BACK_MILLISECONDS))
    .returningAll()
    .executeTakeFirst()
}

function namedLiveTokens(db: Kysely<Database>, accountId: string, now: number) {
  return liveTokens(db, accountId, now)
    .innerJoin('resourceServers as rs', 'rs.id', 'g.resourceServerId')
    .selectAll('g')
    .select([
      'k.name as keyName',
      'rs.name as resourceServerName',
      'rs.identifier as resourceServerIdentifier',
    ])
}

function liveTokens(db: Kysely<Database>, accountId: string, now: number) {
  const records = db.selectFrom('grantRecords').selectAll().where('accountId', '=', accountId)
  return onlyLive(db, records.where('assertionExpiresAt', '>=', earliestAssertion(now)), now)
}

/** In which partitions the records of live tokens lie: in those from here on. `now` in milliseconds. */
export function earliestAssertion(now: number): Date {
  return new Date(now - LOOK_BACK_MILLISECONDS)
}

/** Those of some grant records, as `g`, whose tokens are good now. */
export function onlyLive(
  db: Kysely<Database>,
  records: { as(alias: 'g'): AliasedExpression<GrantRecordRow, 'g'> },
  now: number,
) {
  return db
    .selectFrom(records.as('g'))
    .innerJoin('keys as k', 'k.id', 'g.keyId')
    .innerJoin('accounts as a', 'a.id', 'g.accountId')
    .innerJoin('organizations as o', 'o.id', 'a.organizationId')
    .where('g.expiresAt', '>', new Date(now))
    .where('g.revokedAt', 'is', null)
    .where('k.status', '=', 'active')
    .where((where) => where.or([where('k.expiresAt', 'is', null), where('k.expiresAt', '>', new Date(now))]))
    .where('a.status', '=', 'active')
    .where('o.status', '=', 'active')
    .where(sql<boolean>`g.token_generation = o.token_generation + a.token_generation + k.token_generation`)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('effectivePermissions as p')
          .select('p.permission')
          .whereRef('p.accountId', '=', 'g.accountId')
          .whereRef('p.resourceServerId', '=', 'g.resourceServerId')
          .where(sql<boolean>`p.permission = any(string_to_array(g.scope, ' '))`)
          .where(sql<boolean>`${sql.raw(mayActWith('p.permission'))}`)
          // Kept apart from the join, so that it is asked by the account, record by record: joined, what all accounts
          // have by their roles would be read whole.
          .offset(0),
      ),
    )
}

/** A token as it comes from the database. */
export type TokenRow = {
  ordinal: number
  signing_key_status: SigningKeyStatus | null
  id: string
  subject: string
  token_format: TokenFormat
  issued_at: Date
  expires_at: Date | null
  revoked_at: Date | null
  account_id: string
  account_name: string
  account_kind: AccountKind
  account_email: string
  account_status: AccountStatus
  organization_id: string
  organization_slug: string
  organization_name: string
  organization_status: OrganizationStatus
  organization_is_operator: boolean
  key_id: string
  key_status: KeyStatus
  key_expires_at: Date | null
  resource_server_id: string
  audience: string
  generation_is_current: boolean
  scope: string[]
  roles: string[]
  groups: GroupClaim[] | null
  groups_administrator: GroupAccessLevel | null
  confirmation: Confirmation | null
  binding_is_checked: boolean
}

/** The same in our names. */
export function toTokenRecord(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    accountName: row.account_name,
    accountKind: row.account_kind,
    accountEmail: row.account_email,
    accountStatus: row.account_status,
    organizationId: row.organization_id,
    organizationSlug: row.organization_slug,
    organizationName: row.organization_name,
    organizationStatus: row.organization_status,
    organizationIsOperator: row.organization_is_operator,
    keyId: row.key_id,
    keyStatus: row.key_status,
    keyExpiresAt: row.key_expires_at,
    resourceServerId: row.resource_server_id,
    audience: row.audience,
    subject: row.subject,
    tokenFormat: row.token_format,
    signingKeyStatus: row.signing_key_status,
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    generationIsCurrent: row.generation_is_current,
    scope: row.scope,
    roles: row.roles,
    groups: row.groups ?? [],
    groupsAdministrator: row.groups_administrator,
    confirmation: row.confirmation,
    bindingIsChecked: row.binding_is_checked,
  }
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
