import type { Db, Trx } from '../database/connect.ts'
import { lockAccount, type ServiceAccount, updateAccount } from '../database/queries/accounts.ts'
import { countKeys, insertKey } from '../database/queries/keys.ts'
import type { KeyAlgorithm, KeyRow, NewKey, OrganizationRow, PublicJwk } from '../database/tables.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { type Actor, creatorOf } from './actor.ts'
import { type AuditEntry, changesBetween, createdAs, recordChanges } from './audit.ts'
import { buildKeyFile, type KeyFile } from './key-file.ts'
import { requireLifetime } from './key-lifetime.ts'
import type { ModulusLength } from './key-pair.ts'
import { createPkcs12 } from './pkcs12.ts'
import { type PublicKeyMaterial, parsePublicKey } from './public-key.ts'
import type { DirectoryServices } from './services.ts'

/** How the private half of a generated pair is handed over. */
export type KeyFormat = 'json' | 'pem' | 'p12'

/** A key as somebody asks for it. `undefined` means the default, `null` none. */
export type KeyRequest = GeneratedKeyRequest | RegisteredKeyRequest

export type GeneratedKeyRequest = KeyTerms & {
  type: 'rsa'
  algorithm: 'RS256' | 'PS256' | undefined
  modulusLength: ModulusLength | undefined
  format: KeyFormat | undefined
}

export type RegisteredKeyRequest = KeyTerms & {
  type: 'public_key'
  publicKey: string | Record<string, unknown>
  algorithm: KeyAlgorithm | undefined
}

type KeyTerms = {
  name: string | undefined
  notBefore: Date | null | undefined
  expiresAt: Date | null | undefined
}

/** Whose key it becomes. */
export type KeyOwner = { organization: OrganizationRow; account: { id: string; email: string } }

/** The private half, shown once. It is in no row, log or event. */
export type KeySecret =
  | { format: 'json'; keyFile: KeyFile }
  | { format: 'pem'; privateKeyPem: string }
  | { format: 'p12'; p12Base64: string; password: string }

/** A key ready to be stored, and what its owner gets. */
export type PreparedKey = {
  row: Omit<NewKey, 'publicKey' | 'accountId' | 'createdBy' | 'createdAt'> & {
    publicKey: PublicJwk
    createdAt: Date
  }
  secret: KeySecret | undefined
}

const DEFAULT_MODULUS_LENGTH: ModulusLength = 2048

/**
 * Makes or reads the key material, outside of any transaction: generating takes as long as it takes, and a
 * connection is not held meanwhile.
 * Throws Refusal `input_invalid`, `private_key_given`, `key_generation_forbidden` or `key_generation_busy`.
 */
export async function prepareKey(
  services: Pick<DirectoryServices, 'issuer' | 'generateKeyPair'>,
  owner: KeyOwner,
  request: KeyRequest,
  now: number,
): Promise<PreparedKey> {
  return request.type === 'rsa'
    ? prepareGeneratedKey(services, owner, request, now)
    : prepareRegisteredKey(owner.organization, request, now)
}

/** A pair made here: its `kid` is the key's id. */
async function prepareGeneratedKey(
  services: Pick<DirectoryServices, 'issuer' | 'generateKeyPair'>,
  owner: KeyOwner,
  request: GeneratedKeyRequest,
  now: number,
): Promise<PreparedKey> {
  const { organization } = owner
  if (!organization.settings.allowGeneratedKeys) throw new Refusal('key_generation_forbidden')
  const base = baseRow(organization, request, now)
  const modulusLength = request.modulusLength ?? DEFAULT_MODULUS_LENGTH
  const { material, privateKeyPem } = await services.generateKeyPair(organization.id, modulusLength)
  const algorithm = request.algorithm ?? material.algorithm
  const row = { ...base, ...toColumns({ ...material, algorithm }), kid: base.id }
  return {
    row,
    secret: await wrapSecret(services.issuer, owner, base, request.format ?? 'json', privateKeyPem),
  }
}

/** The owner's own public key: its `kid` is the JWK's, else the thumbprint. */
export function prepareRegisteredKey(
  organization: OrganizationRow,
  request: RegisteredKeyRequest,
  now: number,
): PreparedKey {
  const material = parsePublicKey(request.publicKey, { algorithm: request.algorithm })
  const kid = material.declaredKid ?? material.thumbprint
  const row = { ...baseRow(organization, request, now), ...toColumns(material), kid }
  return { row, secret: undefined }
}

/**
 * Stores a prepared key and its event. A JSON key file is for client libraries that leave `sub` out, so the
 * account's profile becomes `google` with it (conformance D7).
 * Throws Refusal `key_limit_reached`, `key_material_taken` or `kid_taken`.
 */
export async function storeKey(
  trx: Trx,
  actor: Actor,
  owner: { organization: OrganizationRow; account: Omit<ServiceAccount, 'permissions' | 'lastUsedAt'> },
  prepared: PreparedKey,
): Promise<KeyRow> {
  const { organization, account } = owner
  await lockAccount(trx, account.id)
  await assertRoomForKey(trx, organization, account.id)
  const key = await insertUnique(trx, {
    ...prepared.row,
    accountId: account.id,
    createdBy: creatorOf(actor),
  })
  const entries: AuditEntry[] = [
    {
      organizationId: organization.id,
      action: 'key.created',
      target: { id: key.id, kind: 'key', name: key.name },
      changes: createdAs({ accountId: account.id, ...keyFacts(key) }),
    },
  ]
  if (prepared.secret?.format === 'json' && account.assertionPolicy.profile !== 'google') {
    const assertionPolicy = { ...account.assertionPolicy, profile: 'google' as const }
    await updateAccount(trx, account.id, { assertionPolicy }, { endTokens: false, now: key.createdAt })
    entries.push({
      organizationId: organization.id,
      action: 'service_account.updated',
      target: { id: account.id, kind: 'service_account', name: account.name },
      changes: changesBetween({ assertionPolicy: account.assertionPolicy }, { assertionPolicy }) ?? null,
    })
  }
  await recordChanges(trx, actor, key.createdAt.getTime(), entries)
  return key
}

/** Throws Refusal `key_limit_reached`. */
export async function assertRoomForKey(
  db: Db,
  organization: OrganizationRow,
  accountId: string,
): Promise<void> {
  const { maxKeysPerAccount } = organization.settings
  const count = await countKeys(db, accountId)
  if (count < maxKeysPerAccount) return
  throw new Refusal(
    'key_limit_reached',
    { count, maxKeysPerAccount },
    { hint: `The organization allows ${maxKeysPerAccount} keys per account. Delete one first.` },
  )
}

/** What the trail tells of a key. The public half is public, the thumbprint names it. */
export function keyFacts(key: KeyRow): Record<string, unknown> {
  const { name, type, kid, algorithm, modulusLength, thumbprint, status, notBefore, expiresAt } = key
  return { name, type, kid, algorithm, modulusLength, thumbprint, status, notBefore, expiresAt }
}

function baseRow(organization: OrganizationRow, request: KeyRequest, now: number) {
  const createdAt = new Date(now)
  const day = createdAt.toISOString().slice(0, 10)
  return {
    id: newId('key', now),
    type: request.type,
    name: request.name ?? `${request.type === 'rsa' ? 'RSA key' : 'Public key'} ${day}`,
    status: 'active' as const,
    ...requireLifetime(request, organization.settings, now),
    createdAt,
    updatedAt: createdAt,
  }
}

function toColumns({ publicKey, algorithm, modulusLength, thumbprint }: PublicKeyMaterial) {
  return { publicKey, algorithm, modulusLength, thumbprint }
}

async function wrapSecret(
  issuer: string,
  owner: KeyOwner,
  key: { id: string; createdAt: Date; notBefore: Date | null; expiresAt: Date | null },
  format: KeyFormat,
  privateKeyPem: string,
): Promise<KeySecret> {
  const { organization, account } = owner
  switch (format) {
    case 'json':
      return { format, keyFile: buildKeyFile({ issuer, organization, account, key, privateKeyPem }) }
    case 'pem':
      return { format, privateKeyPem }
    case 'p12': {
      const content = {
        privateKeyPem,
        commonName: account.email,
        notBefore: key.notBefore ?? key.createdAt,
        notAfter: key.expiresAt,
      }
      return { format, ...(await createPkcs12(content)) }
    }
  }
}

/** The database decides who came first; whose key it is already is told to nobody. */
async function insertUnique(trx: Trx, key: Parameters<typeof insertKey>[1]): Promise<KeyRow> {
  try {
    return await insertKey(trx, key)
  } catch (error) {
    switch (violatedUnique(error)) {
      case 'keys_thumbprint_key':
        throw new Refusal(
          'key_material_taken',
          { thumbprint: key.thumbprint },
          {
            hint: 'This key material is or was registered already. Make a new pair; a key belongs to one account.',
          },
        )
      case 'keys_account_id_kid_key':
        throw new Refusal(
          'kid_taken',
          { kid: key.kid },
          { hint: 'Another key of this account has or had this kid. Choose another one, or leave it out.' },
        )
      default:
        throw error
    }
  }
}
