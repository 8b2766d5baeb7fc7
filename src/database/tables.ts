import type { ColumnType, Insertable, JSONColumnType, Selectable } from 'kysely'

/**
 * The schema as code sees it: camelCase, times as Date. `migrations/` is where it comes from.
 * Directory tables join freely; the record tables are partitioned by time and referred to by nothing.
 */
export type Database = {
  organizations: OrganizationsTable
  accounts: AccountsTable
  accountPermissions: AccountPermissionsTable
  keys: KeysTable
  resourceServers: ResourceServersTable
  resourceServerSecrets: ResourceServerSecretsTable
  resourceServerKeys: ResourceServerKeysTable
  permissions: PermissionsTable
  roles: RolesTable
  rolePermissions: RolePermissionsTable
  accountRoles: AccountRolesTable
  groups: GroupsTable
  accountGroups: AccountGroupsTable
  effectivePermissions: EffectivePermissionsView
  administratorCredentials: AdministratorCredentialsTable
  recoveryCodes: RecoveryCodesTable
  invitations: InvitationsTable
  setUpLink: SetUpLinkTable
  restorations: RestorationsTable
  sessions: SessionsTable
  identityProviders: IdentityProvidersTable
  openidIdentities: OpenidIdentitiesTable
  signingKeys: SigningKeysTable
  grantRecords: GrantRecordsTable
  usedJtis: UsedJtisTable
  tokenTallies: TokenTalliesTable
  talliedDays: TalliedDaysTable
  auditEvents: AuditEventsTable
  auditHeads: AuditHeadsTable
  auditAnchors: AuditAnchorsTable
}

export type OrganizationStatus = 'active' | 'disabled' | 'deleted'
/** `invited`: an administrator who has not signed in yet. */
export type AccountStatus = 'invited' | 'active' | 'disabled' | 'deleted'
export type AccountKind = 'service_account' | 'administrator'
/** `expired` is not stored: it is what an active key is after its `expires_at`. */
export type KeyStatus = 'active' | 'disabled' | 'revoked'
export type KeyType = 'rsa' | 'public_key' | 'api_token'
/** The signature algorithms of assertions. A key serves exactly one (RFC 8725 §3.1). */
export type KeyAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
export type SigningAlgorithm = 'ES256' | 'RS256' | 'EdDSA'
export type SigningKeyStatus = 'next' | 'active' | 'retiring' | 'gone'
export type TokenFormat = 'jwt' | 'opaque'
/** How an administrator has signed in. */
export type SignInMethod = 'password' | 'openid'

export type OrganizationSettings = {
  requireJti: boolean
  maxKeyLifetimeDays: number | null
  allowGeneratedKeys: boolean
  allowApiTokens: boolean
  maxKeysPerAccount: number
  /** Of each account that has no limit of its own; null for any number. */
  tokenRequestsPerMinute: number | null
}

export type AssertionPolicy = {
  /** `google`: an absent `sub` means `iss`. */
  profile: 'rfc7523' | 'google'
  requireJti: boolean
  maxLifetimeSeconds: number
  extraAudiences: string[]
  /** What may stand in `aud` of its client assertions besides the issuer; an escape from draft-ietf-oauth-rfc7523bis. */
  clientAssertionAudience: 'issuer' | 'issuer_or_token_endpoint'
  /** Whether its tokens are all bound to a key of the sender (RFC 9449 §5.2). */
  requireDpop: boolean
}

/** How tokens are bound to their sender: by DPoP proofs (RFC 9449), or by client certificates (RFC 8705). */
export type SenderConstraint = 'dpop' | 'mtls'

/**
 * What a token is bound to, as `cnf` tells it (RFC 7800 §3.1): the key with that thumbprint (RFC 9449 §6.1), or the
 * certificate with that one (RFC 8705 §3.1).
 */
export type Confirmation = { jkt: string } | { 'x5t#S256': string }

/** `manager` implies `viewer`. */
export type GroupAccessLevel = 'viewer' | 'manager'

/** For whom an account may act, and what it may then do, as far as it may do that itself. */
export type Delegation = {
  /** Exact, or with one trailing `*`. */
  subjects: string[]
  permissions: { resourceServerId: string; permission: string }[]
}

/** A public key in canonical form: exactly the members that its thumbprint is made of (RFC 7638 §3.2). */
export type PublicJwk =
  | { kty: 'RSA'; n: string; e: string }
  | { kty: 'EC'; crv: 'P-256' | 'P-384'; x: string; y: string }
  | { kty: 'OKP'; crv: 'Ed25519'; x: string }

type OrganizationsTable = {
  id: string
  slug: string
  name: string
  status: OrganizationStatus
  isOperator: ColumnType<boolean, boolean | undefined, never>
  settings: JSONColumnType<OrganizationSettings>
  /** Grows whenever something ends all tokens below it; see docs/decisions/0003. */
  tokenGeneration: ColumnType<number, never, number>
  createdAt: ColumnType<Date, Date, never>
  updatedAt: Date
}

type AccountsTable = {
  id: string
  organizationId: string
  kind: AccountKind
  name: string
  /** null for an administrator. */
  slug: string | null
  email: string
  description: string
  ownerContact: string | null
  status: AccountStatus
  assertionPolicy: JSONColumnType<AssertionPolicy>
  /** Instead of the organization's; null for that one. */
  tokenRequestsPerMinute: ColumnType<number | null, number | null | undefined>
  /** Of all groups of the organization, also future ones. */
  groupsAdministrator: ColumnType<GroupAccessLevel | null, GroupAccessLevel | null | undefined>
  delegation: ColumnType<Delegation | null, string | null | undefined, string | null>
  tokenGeneration: ColumnType<number, never, number>
  createdAt: ColumnType<Date, Date, never>
  createdBy: string
  updatedAt: Date
}

type AccountPermissionsTable = { accountId: string; resourceServerId: string; permission: string }

type RolesTable = {
  id: string
  /** null: built in, there for every organization. */
  organizationId: ColumnType<string | null, string | null, never>
  name: string
  description: string
  createdAt: ColumnType<Date, Date, never>
  createdBy: ColumnType<string, string, never>
  updatedAt: Date
}

type RolePermissionsTable = { roleId: string; resourceServerId: string; permission: string }

type AccountRolesTable = { accountId: string; roleId: string }

type GroupsTable = {
  id: string
  organizationId: ColumnType<string, string, never>
  name: string
  description: string
  createdAt: ColumnType<Date, Date, never>
  createdBy: ColumnType<string, string, never>
  updatedAt: Date
}

type AccountGroupsTable = { accountId: string; groupId: string; access: GroupAccessLevel }

/** One row for each way in which an account has a permission: directly (no role), or by a role. */
type EffectivePermissionsView = {
  accountId: ColumnType<string, never, never>
  resourceServerId: ColumnType<string, never, never>
  permission: ColumnType<string, never, never>
  roleId: ColumnType<string | null, never, never>
}

type KeysTable = {
  id: string
  accountId: string
  /** Null for an API token, as are algorithm, thumbprint and public key: it has no pair. */
  kid: string | null
  name: string
  type: KeyType
  algorithm: KeyAlgorithm | null
  modulusLength: number | null
  thumbprint: string | null
  publicKey: ColumnType<PublicJwk | null, string | null, never>
  /** SHA-256 of an API token, which has 256 random bits: no slow hash is needed. Null for other keys. */
  secretDigest: ColumnType<Buffer | null, Buffer | null, never>
  obfuscatedToken: ColumnType<string | null, string | null, never>
  status: KeyStatus
  notBefore: Date | null
  expiresAt: Date | null
  tokenGeneration: ColumnType<number, never, number>
  createdAt: ColumnType<Date, Date, never>
  createdBy: string
  updatedAt: Date
  lastUsedAt: ColumnType<Date | null, never, never>
  lastUsedIp: ColumnType<string | null, never, never>
  lastUsedUserAgent: ColumnType<string | null, never, never>
}

type ResourceServersTable = {
  id: string
  identifier: string
  name: string
  builtIn: ColumnType<boolean, boolean | undefined, never>
  tokenFormat: TokenFormat
  signingAlgorithm: SigningAlgorithm
  /** Of its introspection answers, where it asks for signed ones (RFC 9701 §6). */
  introspectionSigningAlgorithm: SigningAlgorithm
  tokenLifetimeSeconds: number
  /** The bindings that it checks. No token for it is bound otherwise. */
  senderConstraints: readonly SenderConstraint[]
  createdAt: ColumnType<Date, Date, never>
  updatedAt: Date
}

type ResourceServerSecretsTable = {
  id: string
  resourceServerId: string
  name: string
  /** SHA-256 of the secret, which has 256 random bits: no slow hash is needed. */
  digest: Buffer
  obfuscated: string
  createdAt: ColumnType<Date, Date, never>
  createdBy: string
  lastUsedAt: Date | null
}

/** A public key with which a resource server signs assertions to authenticate. */
type ResourceServerKeysTable = {
  id: string
  resourceServerId: string
  kid: string
  name: string
  algorithm: KeyAlgorithm
  modulusLength: number | null
  thumbprint: string
  publicKey: JSONColumnType<PublicJwk, string, never>
  status: KeyStatus
  expiresAt: Date | null
  createdAt: ColumnType<Date, Date, never>
  createdBy: string
  updatedAt: Date
  lastUsedAt: ColumnType<Date | null, never, never>
}

type PermissionsTable = { resourceServerId: string; name: string; description: string }

/** Apart from accounts, so that nothing which reads accounts ever reads a password hash. */
type AdministratorCredentialsTable = {
  accountId: string
  /** argon2id in PHC string format; null until an invitation is accepted, and for who signs in by OpenID only. */
  passwordHash: ColumnType<string | null, string | null | undefined>
  passwordChangedAt: ColumnType<Date | null, Date | null | undefined>
  /** Wrapped with the key-encryption key. */
  wrappedTotpSecret: ColumnType<Buffer | null, Buffer | null | undefined>
  /** null while the second factor is being set up: it is not asked for yet. */
  totpConfirmedAt: ColumnType<Date | null, Date | null | undefined>
  /** The last step whose code was accepted (RFC 6238 §5.2). `bigint`, so a text. */
  totpLastStep: ColumnType<string | null, number | null | undefined, number | null>
  lastSignInAt: ColumnType<Date | null, Date | null | undefined>
}

/** Unused ones; a code is deleted when it is used. */
type RecoveryCodesTable = { accountId: string; digest: Buffer }

/** The one invitation of an account that counts. */
type InvitationsTable = {
  accountId: string
  /** SHA-256 of a secret with 256 random bits. */
  digest: Buffer
  expiresAt: Date
  createdAt: Date
  createdBy: string
}

/** Each time the database was put back from a backup. */
type RestorationsTable = { restoredAt: ColumnType<Date, Date, never> }

/** One row at most: the link of the first administrator. */
type SetUpLinkTable = {
  isOnly: ColumnType<true, never, never>
  /** SHA-256 of a secret with 256 random bits. */
  digest: ColumnType<Buffer, Buffer, never>
  createdAt: ColumnType<Date, Date, never>
  expiresAt: ColumnType<Date, Date, never>
  usedAt: ColumnType<Date | null, never, Date>
}

type SessionsTable = {
  id: string
  accountId: string
  /** SHA-256 of a secret with 256 random bits. */
  digest: Buffer
  method: SignInMethod
  /** The password was right, and the second factor is still to come: until then nothing may be done with it. */
  awaitsSecondFactor: boolean
  /** Of account and organization when it began; see docs/decisions/0003. */
  tokenGeneration: ColumnType<number, number, never>
  createdAt: ColumnType<Date, Date, never>
  expiresAt: Date
  lastSeenAt: Date
  endedAt: ColumnType<Date | null, Date | null | undefined>
  ip: string | null
  userAgent: string | null
}

type IdentityProvidersTable = {
  organizationId: ColumnType<string, string, never>
  issuer: string
  clientId: string
  /** Wrapped with the key-encryption key; null for a public client. */
  wrappedClientSecret: Buffer | null
  /** In lower case. */
  emailDomains: string[]
  createdAt: ColumnType<Date, Date, never>
  updatedAt: Date
}

/** Who an administrator is at the identity provider. */
type OpenidIdentitiesTable = {
  accountId: string
  organizationId: string
  issuer: string
  subject: string
  linkedAt: Date
}

type SigningKeysTable = {
  id: string
  algorithm: SigningAlgorithm
  status: SigningKeyStatus
  publicKey: JSONColumnType<PublicJwk>
  /** null for a key that signs no more. */
  wrappedPrivateKey: Buffer | null
  /** It is published since then. */
  createdAt: ColumnType<Date, Date, never>
  /** Since when it signs, since when it only verifies, since when it counts for nothing. */
  activatedAt: ColumnType<Date | null, Date | null | undefined>
  retiredAt: ColumnType<Date | null, Date | null | undefined>
  removedAt: ColumnType<Date | null, Date | null | undefined>
  /** null unless it was revoked before its time. */
  revokedAt: ColumnType<Date | null, Date | null | undefined>
}

/** Written by the function `record_grants` alone. */
type GrantRecordsTable = {
  accountId: ColumnType<string, never, never>
  id: ColumnType<string, never, never>
  assertionExpiresAt: ColumnType<Date, never, never>
  jti: ColumnType<string | null, never, never>
  organizationId: ColumnType<string, never, never>
  keyId: ColumnType<string, never, never>
  resourceServerId: ColumnType<string, never, never>
  subject: ColumnType<string, never, never>
  scope: ColumnType<string, never, never>
  tokenFormat: ColumnType<TokenFormat, never, never>
  tokenDigest: ColumnType<Buffer | null, never, never>
  tokenGeneration: ColumnType<number, never, never>
  issuedAt: ColumnType<Date, never, never>
  expiresAt: ColumnType<Date, never, never>
  revokedAt: ColumnType<Date | null, never, Date>
  clientIp: ColumnType<string | null, never, never>
  userAgent: ColumnType<string | null, never, never>
  requestId: ColumnType<string, never, never>
  /** null: whoever has the token may use it. */
  confirmation: ColumnType<Confirmation | null, never, never>
}

/** JWTs that may be used once and left no grant record. Written by src/database/queries/used-jtis.ts alone. */
type UsedJtisTable = {
  /** The account, the resource server, or the thumbprint of the key that signs. */
  owner: ColumnType<string, never, never>
  digest: ColumnType<Buffer, never, never>
  expiresAt: ColumnType<Date, never, never>
}

/** How many tokens a key got on a day. Written by src/database/token-tallies.ts alone. */
type TokenTalliesTable = {
  accountId: ColumnType<string, never, never>
  /** Its midnight in UTC. */
  day: ColumnType<Date, never, never>
  keyId: ColumnType<string, never, never>
  /** `bigint`, so a text. */
  tokens: ColumnType<string, never, never>
}

/** Days whose tokens were counted, also those without any. */
type TalliedDaysTable = { day: ColumnType<Date, never, never> }

/** Appended to, never changed. */
type AuditEventsTable = {
  organizationId: ColumnType<string, string, never>
  id: ColumnType<string, string, never>
  at: ColumnType<Date, Date, never>
  actorId: ColumnType<string | null, string | null, never>
  actorKind: ColumnType<AccountKind | 'system' | 'unknown', AccountKind | 'system' | 'unknown', never>
  actorName: ColumnType<string, string, never>
  action: ColumnType<string, string, never>
  targetId: ColumnType<string | null, string | null, never>
  targetKind: ColumnType<string | null, string | null, never>
  targetName: ColumnType<string | null, string | null, never>
  changes: ColumnType<AuditChanges | null, string | null, never>
  reason: ColumnType<string | null, string | null, never>
  ip: ColumnType<string | null, string | null, never>
  userAgent: ColumnType<string | null, string | null, never>
  requestId: ColumnType<string | null, string | null, never>
  /** How many occurrences the event stands for; null for one. */
  count: ColumnType<number | null, number | null, never>
  /** The place in the organization's chain (docs/audit.md): 1 and on, without gaps. `bigint`, so a text. */
  sequence: ColumnType<string, number, never>
  previousHash: ColumnType<Buffer, Buffer, never>
  hash: ColumnType<Buffer, Buffer, never>
}

/** The newest event of each organization's chain; locked while one is added. */
type AuditHeadsTable = {
  organizationId: string
  sequence: ColumnType<string, number, number>
  hash: Buffer
}

/** Runs of events that were dropped with their partition: what was dropped by us, and how the chain goes on. */
type AuditAnchorsTable = {
  organizationId: string
  firstSequence: ColumnType<string, number, number>
  lastSequence: ColumnType<string, number, number>
  /** Of the first one. */
  previousHash: Buffer
  /** Of the last one. */
  hash: Buffer
  droppedAt: Date
}

/** What a change did, without secrets; members are named as on the wire. */
export type AuditChanges = { before?: Record<string, unknown>; after?: Record<string, unknown> }

export type OrganizationRow = Selectable<OrganizationsTable>
export type AccountRow = Selectable<AccountsTable>
export type KeyRow = Selectable<KeysTable>
export type ResourceServerRow = Selectable<ResourceServersTable>
export type ResourceServerSecretRow = Selectable<ResourceServerSecretsTable>
export type ResourceServerKeyRow = Selectable<ResourceServerKeysTable>
export type RoleRow = Selectable<RolesTable>
export type GroupRow = Selectable<GroupsTable>
export type PermissionRow = Selectable<PermissionsTable>
export type InvitationRow = Selectable<InvitationsTable>
export type SessionRow = Selectable<SessionsTable>
export type IdentityProviderRow = Selectable<IdentityProvidersTable>
export type SigningKeyRow = Selectable<SigningKeysTable>
export type GrantRecordRow = Selectable<GrantRecordsTable>
export type AuditEventRow = Selectable<AuditEventsTable>
export type NewKey = Insertable<KeysTable>
export type AuditAnchorRow = Selectable<AuditAnchorsTable>
