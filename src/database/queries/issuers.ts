import type pg from 'pg'
import type {
  AccountStatus,
  AssertionPolicy,
  KeyAlgorithm,
  KeyStatus,
  KeyType,
  OrganizationSettings,
  OrganizationStatus,
  PublicJwk,
  SigningAlgorithm,
  TokenFormat,
} from '../tables.ts'

/** An account that signs assertions, with all that judging one needs: one row set of one query. */
export type Issuer = {
  accountId: string
  accountName: string
  accountEmail: string
  accountStatus: AccountStatus
  assertionPolicy: AssertionPolicy
  organizationId: string
  organizationStatus: OrganizationStatus
  organizationSettings: OrganizationSettings
  /** With a `kid`: that key, in whatever state. Without: the account's active keys, newest first. */
  keys: readonly IssuerKey[]
  /** What the account may do, by resource server. */
  access: readonly ResourceServerAccess[]
}

export type IssuerKey = {
  id: string
  type: KeyType
  algorithm: KeyAlgorithm
  publicKey: PublicJwk
  status: KeyStatus
  notBefore: Date | null
  expiresAt: Date | null
}

export type ResourceServerAccess = {
  id: string
  identifier: string
  tokenFormat: TokenFormat
  signingAlgorithm: SigningAlgorithm
  tokenLifetimeSeconds: number
  permissions: readonly string[]
}

export type IssuerLookup = {
  /** `iss`: an account id or an account email. */
  issuer: string
  kid: string | undefined
  /** Milliseconds: expired keys are not tried for an assertion without `kid`. */
  now: number
}

/** An assertion without `kid` is tried against this many keys at most (http-contract: token request). */
const MAX_CANDIDATE_KEYS = 5

const FIND_ISSUERS = `
  select q.ordinal::int as ordinal,
         a.id as account_id, a.name as account_name, a.email as account_email, a.status as account_status,
         a.assertion_policy,
         o.id as organization_id, o.status as organization_status, o.settings as organization_settings,
         k.id as key_id, k.type as key_type, k.algorithm, k.public_key, k.status as key_status, k.not_before, k.expires_at,
         r.access
  from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as q (issuer, kid, now, ordinal)
  join accounts a
    on a.id = case when strpos(q.issuer, '@') = 0 then q.issuer
                   else (select e.id from accounts e where e.email = q.issuer and e.status <> 'deleted') end
   and a.kind = 'service_account' and a.status <> 'deleted'
  join organizations o on o.id = a.organization_id
  left join lateral (
    select * from keys c
    where c.account_id = a.id
      and case when q.kid is not null then c.id = q.kid or c.kid = q.kid
               else c.status = 'active' and (c.expires_at is null or c.expires_at > q.now) end
    order by c.id desc
    limit ${MAX_CANDIDATE_KEYS}
  ) k on true
  left join lateral (
    select json_agg(json_build_object(
             'id', s.id, 'identifier', s.identifier, 'tokenFormat', s.token_format,
             'signingAlgorithm', s.signing_algorithm, 'tokenLifetimeSeconds', s.token_lifetime_seconds,
             'permissions', s.permissions)) as access
    from (
      select rs.*, array_agg(p.permission order by p.permission) as permissions
      from account_permissions p
      join resource_servers rs on rs.id = p.resource_server_id
      where p.account_id = a.id
      group by rs.id
    ) s
  ) r on true
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
      lookups.map((lookup) => lookup.kid ?? null),
      lookups.map((lookup) => new Date(lookup.now).toISOString()),
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
  key_id: string | null
  key_type: KeyType
  algorithm: KeyAlgorithm
  public_key: PublicJwk
  key_status: KeyStatus
  not_before: Date | null
  expires_at: Date | null
  access: ResourceServerAccess[] | null
}

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
    keys: toKeys(row),
    access: row.access ?? [],
  }
}

function toKeys(row: IssuerRow): IssuerKey[] {
  if (row.key_id === null) return []
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
