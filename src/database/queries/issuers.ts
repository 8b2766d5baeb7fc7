import type pg from 'pg'
import type {
  AccountStatus,
  AssertionPolicy,
  Delegation,
  KeyAlgorithm,
  KeyStatus,
  OrganizationSettings,
  OrganizationStatus,
  PublicJwk,
  SenderConstraint,
  SigningAlgorithm,
  TokenFormat,
} from '../tables.ts'
import { joinOne } from './join-one.ts'

/** An account that asks for tokens, with all that judging it needs: one row set of one query. */
export type Issuer = {
  accountId: string
  accountName: string
  accountEmail: string
  accountStatus: AccountStatus
  assertionPolicy: AssertionPolicy
  organizationId: string
  organizationStatus: OrganizationStatus
  organizationSettings: OrganizationSettings
  /** The account's own limit, or its organization's; null for any number. */
  tokenRequestsPerMinute: number | null
  /** With a `kid`: that key, in whatever state. Without: the account's active keys, newest first. */
  keys: readonly IssuerKey[]
  /** The API token that was asked for, in whatever state, if it is one of this account. */
  apiToken: ApiTokenKey | undefined
  /** The names of its roles, sorted. */
  roles: readonly string[]
  delegation: Delegation | null
  /** Whether the subject that was asked for is the email of an account of the same organization. */
  subjectIsAccount: boolean
  /** What the account may do, directly or by its roles, by resource server. */
  access: readonly ResourceServerAccess[]
}

/** A key that signs assertions. */
export type IssuerKey = {
  id: string
  type: 'rsa' | 'public_key'
  algorithm: KeyAlgorithm
  publicKey: PublicJwk
  status: KeyStatus
  notBefore: Date | null
  expiresAt: Date | null
}

/** A key that is a secret. */
export type ApiTokenKey = { id: string; digest: Buffer; status: KeyStatus; expiresAt: Date | null }

export type ResourceServerAccess = {
  id: string
  identifier: string
  tokenFormat: TokenFormat
  signingAlgorithm: SigningAlgorithm
  tokenLifetimeSeconds: number
  /** The bindings that it checks. */
  senderConstraints: readonly SenderConstraint[]
  permissions: readonly string[]
}

export type IssuerLookup = {
  /** `iss` or `client_id`: an account id or an account email. */
  issuer: string
  /** Milliseconds: expired keys are not tried for an assertion without `kid`. */
  now: number
} & (AssertionSender | ApiTokenHolder)

/** `subject`: the `sub` of the assertion, if it looks like an email. */
type AssertionSender = { kid: string | undefined; subject: string | undefined }

/** By the key id that the API token names. */
type ApiTokenHolder = { apiToken: string }

/** An assertion without `kid` is tried against this many keys at most (http-contract: token request). */
const MAX_CANDIDATE_KEYS = 5

const FIND_ISSUERS = `
  select q.ordinal::int as ordinal,
         a.id as account_id, a.name as account_name, a.email as account_email, a.status as account_status,
         a.assertion_policy, a.token_requests_per_minute, a.delegation,
         array(select ro.name from account_roles h join roles ro on ro.id = h.role_id
               where h.account_id = a.id order by ro.name collate "C") as roles,
         case when q.subject is null then false
              -- By the address alone: an organization may have any number of accounts.
              else a.organization_id = any (array(
                     select e.organization_id from accounts e
                     where e.email in (q.subject, lower(q.subject)) and e.status <> 'deleted'))
         end as subject_is_account,
         o.id as organization_id, o.status as organization_status, o.settings as organization_settings,
         k.id as key_id, k.type as key_type, k.algorithm, k.public_key, k.secret_digest, k.status as key_status,
         k.not_before, k.expires_at,
         r.access
  from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[])
    with ordinality as q (issuer, kid, now, token, subject, ordinal)
  cross join lateral (
    select * from accounts c
    where c.id = case when strpos(q.issuer, '@') = 0 then q.issuer
                      else (select e.id from accounts e
                            where e.email = q.issuer and e.kind = 'service_account' and e.status <> 'deleted') end
    limit 1
  ) a
  ${joinOne('organizations', 'o', 'a.organization_id')}
  left join lateral (
    select * from keys c
    where c.account_id = a.id
      and case when q.token is not null then c.type = 'api_token' and c.id = q.token
               when c.type = 'api_token' then false
               when q.kid is not null then c.id = q.kid or c.kid = q.kid
               else c.status = 'active' and (c.expires_at is null or c.expires_at > q.now) end
    order by c.id desc
    limit ${MAX_CANDIDATE_KEYS}
  ) k on true
  left join lateral (
    select json_agg(json_build_object(
             'id', s.id, 'identifier', s.identifier, 'tokenFormat', s.token_format,
             'signingAlgorithm', s.signing_algorithm, 'tokenLifetimeSeconds', s.token_lifetime_seconds,
             'senderConstraints', s.sender_constraints,
             'permissions', s.permissions)) as access
    from (
      select rs.*, array_agg(distinct p.permission order by p.permission) as permissions
      from effective_permissions p
      join resource_servers rs on rs.id = p.resource_server_id
      where p.account_id = a.id
      group by rs.id
    ) s
  ) r on true
  where a.kind = 'service_account' and a.status <> 'deleted'
  order by q.ordinal`

/**
 * Finds the issuers of a batch of assertions: accounts, organizations, candidate keys and effective
 * permissions in one round trip. Answers in the order of the look-ups; undefined where no account fits.
 */
export async function findIssuers(
  pool: pg.Pool,
  lookups: readonly IssuerLookup[],
): Promise<(Issuer | undefined)[]> {
  const { rows } = await pool.query<IssuerRow>({
    name: 'find-issuers',
    text: FIND_ISSUERS,
    values: [
      lookups.map((lookup) => lookup.issuer),
      lookups.map((lookup) => ('kid' in lookup ? (lookup.kid ?? null) : null)),
      lookups.map((lookup) => new Date(lookup.now).toISOString()),
      lookups.map((lookup) => ('apiToken' in lookup ? lookup.apiToken : null)),
      lookups.map((lookup) => ('kid' in lookup ? (lookup.subject ?? null) : null)),
    ],
  })
  const issuers: (Issuer | undefined)[] = new Array(lookups.length).fill(undefined)
  for (const row of rows) {
    const position = row.ordinal - 1
    const issuer = issuers[position]
    if (issuer === undefined) issuers[position] = toIssuer(row)
    else issuers[position] = { ...issuer, keys: [...issuer.keys, ...toKeys(row)] }
  }
  return issuers
}

type IssuerRow = {
  ordinal: number
  account_id: string
  account_name: string
  account_email: string
  account_status: AccountStatus
  assertion_policy: AssertionPolicy
  organization_id: string
  organization_status: OrganizationStatus
  organization_settings: OrganizationSettings
  token_requests_per_minute: number | null
  roles: string[]
  delegation: Delegation | null
  subject_is_account: boolean
  access: ResourceServerAccess[] | null
} & (KeyColumns | { key_id: null })

type KeyColumns = {
  key_id: string
  key_status: KeyStatus
  not_before: Date | null
  expires_at: Date | null
} & (
  | { key_type: 'rsa' | 'public_key'; algorithm: KeyAlgorithm; public_key: PublicJwk }
  | { key_type: 'api_token'; secret_digest: Buffer }
)

function toIssuer(row: IssuerRow): Issuer {
  return {
    accountId: row.account_id,
    accountName: row.account_name,
    accountEmail: row.account_email,
    accountStatus: row.account_status,
    assertionPolicy: row.assertion_policy,
    organizationId: row.organization_id,
    organizationStatus: row.organization_status,
    organizationSettings: row.organization_settings,
    tokenRequestsPerMinute: row.token_requests_per_minute ?? row.organization_settings.tokenRequestsPerMinute,
    keys: toKeys(row),
    apiToken: toApiToken(row),
    roles: row.roles,
    delegation: row.delegation,
    subjectIsAccount: row.subject_is_account,
    access: row.access ?? [],
  }
}

function toKeys(row: IssuerRow): IssuerKey[] {
  if (row.key_id === null || row.key_type === 'api_token') return []
  return [
    {
      id: row.key_id,
      type: row.key_type,
      algorithm: row.algorithm,
      publicKey: row.public_key,
      status: row.key_status,
      notBefore: row.not_before,
      expiresAt: row.expires_at,
    },
  ]
}

function toApiToken(row: IssuerRow): ApiTokenKey | undefined {
  if (row.key_id === null || row.key_type !== 'api_token') return undefined
  return { id: row.key_id, digest: row.secret_digest, status: row.key_status, expiresAt: row.expires_at }
}
