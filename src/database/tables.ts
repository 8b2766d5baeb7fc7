import type { ColumnType, Insertable, JSONColumnType, Selectable } from 'kysely'

/**
 * The schema as code sees it: camelCase, times as Date. `migrations/` is where it comes from.
 * Directory tables join freely; the two record tables are partitioned by time and referred to by nothing.
 */
export type Database = {
  organizations: OrganizationsTable
  accounts: AccountsTable
  accountPermissions: AccountPermissionsTable
  keys: KeysTable
  resourceServers: ResourceServersTable
  resourceServerSecrets: ResourceServerSecretsTable
  permissions: PermissionsTable
  signingKeys: SigningKeysTable
  grantRecords: GrantRecordsTable
  auditEvents: AuditEventsTable
}

export type OrganizationStatus = 'active' | 'disabled' | 'deleted'
export type AccountStatus = 'active' | 'disabled' | 'deleted'
export type AccountKind = 'service_account' | 'administrator'
/** `expired` is not stored: it is what an active key is after its `expires_at`. */
export type KeyStatus = 'active' | 'disabled' | 'revoked'
export type KeyType = 'rsa' | 'public_key'
/** The signature algorithms of assertions. A key serves exactly one (RFC 8725 §3.1). */
export type KeyAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA'
export type SigningAlgorithm = 'ES256' | 'RS256' | 'EdDSA'
export type TokenFormat = 'jwt' | 'opaque'

export type OrganizationSettings = {
  requireJti: boolean
  maxKeyLifetimeDays: number | null
  allowGeneratedKeys: boolean
  maxKeysPerAccount: number
}

export type AssertionPolicy = {
  /** `google`: an absent `sub` means `iss`. */
  profile: 'rfc7523' | 'google'
  requireJti: boolean
  maxLifetimeSeconds: number
  extraAudiences: string[]
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
  slug: string
  email: string
  description: string
  ownerContact: string | null
  status: AccountStatus
  assertionPolicy: JSONColumnType<AssertionPolicy>
  tokenGeneration: ColumnType<number, never, number>
  createdAt: ColumnType<Date, Date, never>
  createdBy: string
  updatedAt: Date
}

type AccountPermissionsTable = { accountId: string; resourceServerId: string; permission: string }

type KeysTable = {
  id: string
  accountId: string
  kid: string
  name: string
  type: KeyType
  algorithm: KeyAlgorithm
  modulusLength: number | null
  thumbprint: string
  publicKey: JSONColumnType<PublicJwk>
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
  tokenLifetimeSeconds: number
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

type PermissionsTable = { resourceServerId: string; name: string; description: string }

type SigningKeysTable = {
  id: string
  algorithm: SigningAlgorithm
  status: 'next' | 'active' | 'retiring' | 'gone'
  publicKey: JSONColumnType<PublicJwk>
  wrappedPrivateKey: Buffer
  createdAt: ColumnType<Date, Date, never>
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
}

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
}

/** What a change did, without secrets; members are named as on the wire. */
export type AuditChanges = { before?: Record<string, unknown>; after?: Record<string, unknown> }

export type OrganizationRow = Selectable<OrganizationsTable>
export type AccountRow = Selectable<AccountsTable>
export type KeyRow = Selectable<KeysTable>
export type ResourceServerRow = Selectable<ResourceServersTable>
export type ResourceServerSecretRow = Selectable<ResourceServerSecretsTable>
export type PermissionRow = Selectable<PermissionsTable>
export type SigningKeyRow = Selectable<SigningKeysTable>
export type GrantRecordRow = Selectable<GrantRecordsTable>
export type AuditEventRow = Selectable<AuditEventsTable>
export type NewKey = Insertable<KeysTable>
export type NewAuditEvent = Insertable<AuditEventsTable>
