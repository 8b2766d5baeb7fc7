import type { KeyAlgorithm, OrganizationRow, PublicJwk } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { createApiToken, obfuscateApiToken } from '../tokens/api-token.ts'
import { buildKeyFile, type KeyFile } from './key-file.ts'
import { requireLifetime } from './key-lifetime.ts'
import type { ModulusLength } from './key-pair.ts'
import { createPkcs12 } from './pkcs12.ts'
import { type PublicKeyMaterial, parsePublicKey } from './public-key.ts'
import type { DirectoryServices } from './services.ts'

/** How the private half of a generated pair is handed over. */
export type KeyFormat = 'json' | 'pem' | 'p12'

/** A key as somebody asks for it. `undefined` means the default, `null` none. */
export type KeyRequest = GeneratedKeyRequest | RegisteredKeyRequest | ApiTokenRequest

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

export type ApiTokenRequest = Omit<KeyTerms, 'notBefore'> & { type: 'api_token' }

type KeyTerms = {
  name: string | undefined
  notBefore: Date | null | undefined
  expiresAt: Date | null | undefined
}

/** Whose key it becomes. */
export type KeyOwner = { organization: OrganizationRow; account: { id: string; email: string } }

/** The secret half, shown once. It is in no row, log or event. */
export type KeySecret =
  | { format: 'json'; keyFile: KeyFile }
  | { format: 'pem'; privateKeyPem: string }
  | { format: 'p12'; p12Base64: string; password: string }
  | { format: 'api_token'; apiToken: string }

/** A key ready to be stored, and what its owner gets. */
export type PreparedKey = { row: KeyTermsRow & (PairColumns | SecretColumns); secret: KeySecret | undefined }

type KeyTermsRow = {
  id: string
  type: KeyRequest['type']
  name: string
  status: 'active'
  notBefore: Date | null
  expiresAt: Date | null
  createdAt: Date
  updatedAt: Date
}

type PairColumns = {
  kid: string
  algorithm: KeyAlgorithm
  modulusLength: number | null
  thumbprint: string
  publicKey: PublicJwk
  secretDigest: null
  obfuscatedToken: null
}

type SecretColumns = { [Column in keyof Omit<PairColumns, 'secretDigest' | 'obfuscatedToken'>]: null } & {
  secretDigest: Buffer
  obfuscatedToken: string
}

const DEFAULT_MODULUS_LENGTH: ModulusLength = 2048

/** What keys are called that nobody names. */
const DEFAULT_NAMES: Record<KeyRequest['type'], string> = {
  rsa: 'RSA key',
  public_key: 'Public key',
  api_token: 'API token',
}

/**
 * Makes or reads the key material, outside of any transaction: generating takes as long as it takes, and a
 * connection is not held meanwhile.
 * Throws Refusal `input_invalid`, `private_key_given`, `key_generation_forbidden`, `api_tokens_forbidden` or
 * `key_generation_busy`.
 */
export async function prepareKey(
  services: Pick<DirectoryServices, 'issuer' | 'generateKeyPair'>,
  owner: KeyOwner,
  request: KeyRequest,
  now: number,
): Promise<PreparedKey> {
  switch (request.type) {
    case 'rsa':
      return prepareGeneratedKey(services, owner, request, now)
    case 'public_key':
      return prepareRegisteredKey(owner.organization, request, now)
    case 'api_token':
      return prepareApiToken(owner.organization, request, now)
  }
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
  const terms = termsRow(organization, request, now)
  const modulusLength = request.modulusLength ?? DEFAULT_MODULUS_LENGTH
  const { material, privateKeyPem } = await services.generateKeyPair(organization.id, modulusLength)
  const algorithm = request.algorithm ?? material.algorithm
  return {
    row: { ...terms, ...pairColumns({ ...material, algorithm }, terms.id) },
    secret: await wrapSecret(services.issuer, owner, terms, request.format ?? 'json', privateKeyPem),
  }
}

/** The owner's own public key: its `kid` is the JWK's, else the thumbprint. */
export function prepareRegisteredKey(
  organization: OrganizationRow,
  request: RegisteredKeyRequest,
  now: number,
): { row: KeyTermsRow & PairColumns; secret: undefined } {
  const material = parsePublicKey(request.publicKey, { algorithm: request.algorithm })
  const kid = material.declaredKid ?? material.thumbprint
  const row = { ...termsRow(organization, request, now), ...pairColumns(material, kid) }
  return { row, secret: undefined }
}

/** A secret made here. Of it only the SHA-256 is kept, and its two ends, for people to know it again. */
function prepareApiToken(organization: OrganizationRow, request: ApiTokenRequest, now: number): PreparedKey {
  if (!organization.settings.allowApiTokens) throw new Refusal('api_tokens_forbidden')
  const terms = termsRow(organization, { ...request, notBefore: null }, now)
  const apiToken = createApiToken(terms.id)
  return {
    row: {
      ...terms,
      kid: null,
      algorithm: null,
      modulusLength: null,
      thumbprint: null,
      publicKey: null,
      secretDigest: digestSecret(apiToken),
      obfuscatedToken: obfuscateApiToken(apiToken),
    },
    secret: { format: 'api_token', apiToken },
  }
}

function termsRow(
  organization: OrganizationRow,
  request: KeyTerms & { type: KeyRequest['type'] },
  now: number,
): KeyTermsRow {
  const createdAt = new Date(now)
  return {
    id: newId('key', now),
    type: request.type,
    name: request.name ?? `${DEFAULT_NAMES[request.type]} ${createdAt.toISOString().slice(0, 10)}`,
    status: 'active',
    ...requireLifetime(request, organization.settings, now),
    createdAt,
    updatedAt: createdAt,
  }
}

function pairColumns(
  { publicKey, algorithm, modulusLength, thumbprint }: PublicKeyMaterial,
  kid: string,
): PairColumns {
  return { publicKey, algorithm, modulusLength, thumbprint, kid, secretDigest: null, obfuscatedToken: null }
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
