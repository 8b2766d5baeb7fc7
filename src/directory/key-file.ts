import { createPrivateKey, type KeyObject } from 'node:crypto'
import { OperatorError } from '../errors.ts'

/**
 * The file that holds a generated private key, in the shape that existing service-account client libraries
 * read (the HTTP contract's "Key file"). Times are RFC 3339 in UTC.
 */
export type KeyFile = {
  type: 'service_account'
  /** The organization's slug. */
  project_id: string
  private_key_id: string
  /** PKCS#8, PEM. */
  private_key: string
  client_email: string
  /** The account's id. */
  client_id: string
  auth_uri: string
  token_uri: string
  audience: string
  issuer: string
  organization_id: string
  created_at: string
  expires_at: string | null
}

/** What a key file is made of. */
export type KeyFileParts = {
  /** The issuer identifier, without a trailing slash. */
  issuer: string
  organization: { id: string; slug: string }
  account: { id: string; email: string }
  key: { id: string; createdAt: Date; expiresAt: Date | null }
  /** PKCS#8, PEM. */
  privateKeyPem: string
}

/** Members whose value is text, all of them required. */
const TEXT_MEMBERS = [
  'project_id',
  'private_key_id',
  'private_key',
  'client_email',
  'client_id',
  'auth_uri',
  'token_uri',
  'audience',
  'issuer',
  'organization_id',
  'created_at',
] as const

const URL_MEMBERS = ['auth_uri', 'token_uri', 'audience', 'issuer'] as const

const AGAIN = 'Use the file exactly as it was downloaded, or generate a new key.'

/** The key file of a new key. Member order is that of the contract, which is what people compare with. */
export function buildKeyFile(parts: KeyFileParts): KeyFile {
  const { issuer, organization, account, key, privateKeyPem } = parts
  return {
    type: 'service_account',
    project_id: organization.slug,
    private_key_id: key.id,
    private_key: privateKeyPem,
    client_email: account.email,
    client_id: account.id,
    auth_uri: `${issuer}/oauth/authorize`,
    token_uri: `${issuer}/oauth/token`,
    audience: issuer,
    issuer,
    organization_id: organization.id,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
  }
}

/**
 * Reads a key file's text for the command line. Unknown members are dropped, so that files of later
 * versions are read too.
 *
 * @throws OperatorError that names what is wrong, and never repeats a value of the file
 */
export function parseKeyFile(text: string): KeyFile {
  const file = requireJsonObject(text)
  if (file.type !== 'service_account') {
    throw new OperatorError(
      `The key file must have "type": "service_account"; this is another kind of file. ${AGAIN}`,
    )
  }
  const members = requireTexts(file)
  for (const name of URL_MEMBERS) assertHttpUrl(name, members[name])
  assertReadableKey(members.private_key)
  return { type: 'service_account', ...members, expires_at: requireExpiry(file.expires_at) }
}

function requireJsonObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text.trim())
  } catch {
    // Without the parser's message, which quotes the text.
    throw new OperatorError(`The key file is not JSON. ${AGAIN}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OperatorError(`The key file must hold a JSON object. ${AGAIN}`)
  }
  return value as Readonly<Record<string, unknown>>
}

function requireTexts(
  file: Readonly<Record<string, unknown>>,
): Record<(typeof TEXT_MEMBERS)[number], string> {
  const found = TEXT_MEMBERS.map((name) => [name, file[name]] as const)
  const missing = found.filter(([, value]) => typeof value !== 'string' || value === '').map(([name]) => name)
  if (missing.length > 0) {
    throw new OperatorError(`The key file lacks ${missing.join(', ')} (each must be a text). ${AGAIN}`)
  }
  return Object.fromEntries(found) as Record<(typeof TEXT_MEMBERS)[number], string>
}

function assertHttpUrl(name: string, value: string): void {
  const protocol = URL.parse(value)?.protocol
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw new OperatorError(`The key file's ${name} must be an http or https URL. ${AGAIN}`)
  }
}

function assertReadableKey(pem: string): void {
  const key = readPrivateKey(pem)
  if (key === undefined) {
    throw new OperatorError(
      pem.includes('\\n')
        ? `The key file's private_key has its line breaks escaped twice (\\\\n in place of \\n). ${AGAIN}`
        : `The key file's private_key cannot be read: it must be an unencrypted PEM private key. ${AGAIN}`,
    )
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new OperatorError(`The key file's private_key must be an RSA key. ${AGAIN}`)
  }
}

function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function requireExpiry(value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' && !Number.isNaN(Date.parse(value))) return value
  throw new OperatorError(`The key file's expires_at must be a time or null. ${AGAIN}`)
}
