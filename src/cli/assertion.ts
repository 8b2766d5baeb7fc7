import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { type Clock, toNumericDate } from '../clock.ts'
import type { KeyFile } from '../directory/key-file.ts'
import { OperatorError } from '../errors.ts'

/** What an integration needs to get tokens: whose key it is, and where to go with it. */
export type Credentials = {
  /** The service account's id or email. */
  account: string
  keyId: string
  privateKeyPem: string
  issuer: string
  tokenEndpoint: string
}

/** The credentials in a key file; `issuer` is where the server is now, when it has moved since. */
export function credentialsOf(file: KeyFile, issuer?: string): Credentials {
  return {
    account: file.client_id,
    keyId: file.private_key_id,
    privateKeyPem: file.private_key,
    issuer: issuer ?? file.audience,
    tokenEndpoint: issuer === undefined ? file.token_uri : tokenEndpointOf(issuer),
  }
}

/** The token endpoint below an issuer. Throws OperatorError for what is no URL. */
export function tokenEndpointOf(issuer: string): string {
  if (URL.parse(issuer) === null) throw new OperatorError(`The issuer must be a URL, and ${issuer} is none.`)
  return `${issuer.replace(/\/$/, '')}/oauth/token`
}

/** Long enough for a slow network, too short to be of use to a thief. */
const LIFETIME_SECONDS = 60

export type Assertion = { jwt: string; claims: Record<string, unknown> }

/**
 * Signs the assertion of RFC 7523 §3 that is exchanged for a token. Throws OperatorError for a key that no
 * account can have.
 */
export async function signAssertion(
  credentials: Credentials,
  clock: Clock,
  options: { audience?: string | undefined } = {},
): Promise<Assertion> {
  const key = readPrivateKey(credentials.privateKeyPem)
  const issuedAt = toNumericDate(clock.now())
  const claims = {
    iss: credentials.account,
    sub: credentials.account,
    aud: options.audience ?? credentials.issuer,
    iat: issuedAt,
    exp: issuedAt + LIFETIME_SECONDS,
    jti: randomUUID(),
  }
  const header = { alg: algorithmOf(key), kid: credentials.keyId, typ: 'JWT' }
  return { jwt: await new SignJWT(claims).setProtectedHeader(header).sign(key), claims }
}

function readPrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new OperatorError('The private key cannot be read: it must be an unencrypted private key in PEM.')
  }
}

/** The default algorithm of each kind of key, which is what it was registered for unless told otherwise. */
function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return 'RS256'
    case 'ed25519':
      return 'EdDSA'
    case 'ec':
      if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
      if (key.asymmetricKeyDetails?.namedCurve === 'secp384r1') return 'ES384'
  }
  throw new OperatorError('The private key must be RSA, EC on P-256 or P-384, or Ed25519.')
}
