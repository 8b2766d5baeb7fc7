import { decodeJwt, decodeProtectedHeader } from 'jose'
import { systemClock } from '../clock.ts'
import { OperatorError } from '../errors.ts'
import { type Credentials, credentialsOf, signAssertion, tokenEndpointOf } from './assertion.ts'
import { readKeyFile, readNamedFile } from './files.ts'
import { describeRefusal, postForm } from './http.ts'

export type TokenOptions = {
  keyFile?: string
  privateKey?: string
  keyId?: string
  account?: string
  issuer?: string
  scope?: string
  resource?: string
  audience?: string
  decode?: true
}

/** RFC 7523 §2.1. */
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/**
 * Prints an access token and nothing else, so that it can stand in `$(…)`; with `decode`, what it says.
 * Throws OperatorError with the server's own words when it is refused.
 */
export async function printToken(options: TokenOptions): Promise<void> {
  const credentials = await readCredentials(options)
  const { jwt } = await signAssertion(credentials, systemClock, options)
  const { scope, resource } = options
  const answer = await postForm(credentials.tokenEndpoint, {
    grant_type: JWT_BEARER,
    assertion: jwt,
    scope,
    resource,
  })
  const token = answer.body?.access_token
  if (answer.status !== 200 || typeof token !== 'string') {
    throw new OperatorError(`${credentials.tokenEndpoint} gives no token: ${describeRefusal(answer)}`)
  }
  process.stdout.write(`${options.decode ? describeToken(token) : token}\n`)
}

async function readCredentials(options: TokenOptions): Promise<Credentials> {
  if (options.keyFile !== undefined && options.privateKey !== undefined) {
    throw new OperatorError('Give either --key-file or --private-key, not both.')
  }
  if (options.keyFile !== undefined) return credentialsOf(await readKeyFile(options.keyFile), options.issuer)
  if (options.privateKey !== undefined) return fromPrivateKey(options.privateKey, options)
  throw new OperatorError(
    'Give --key-file FILE, or --private-key FILE with --key-id, --account and --issuer.',
  )
}

async function fromPrivateKey(path: string, options: TokenOptions): Promise<Credentials> {
  const { keyId, account, issuer } = options
  if (keyId === undefined || account === undefined || issuer === undefined) {
    throw new OperatorError(
      '--private-key needs --key-id, --account and --issuer too; a key file has them all.',
    )
  }
  const privateKeyPem = await readNamedFile(path, 'a private key in PEM')
  return { account, keyId, privateKeyPem, issuer, tokenEndpoint: tokenEndpointOf(issuer) }
}

function describeToken(token: string): string {
  if (token.split('.').length !== 3) {
    return `${token}\n\nThis token is opaque: only the server knows what it says. Ask with countersign introspect.`
  }
  const parts = { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  return JSON.stringify(parts, null, 2)
}
