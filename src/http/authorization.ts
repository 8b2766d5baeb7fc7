import { Refusal } from '../errors.ts'

/** RFC 6750 §2.1 `b64token`. */
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

export type BasicCredentials = { id: string; secret: string }

/** The scheme of an `Authorization` header in lower case (RFC 9110 §11.1); undefined without a header. */
export function schemeOf(authorization: string | undefined): string | undefined {
  return authorization?.split(' ', 1)[0]?.toLowerCase()
}

/** The token of a Bearer header (RFC 6750 §2.1). Throws Refusal `credentials_malformed`. */
export function parseBearer(authorization: string): string {
  const [, token, ...rest] = authorization.split(' ')
  if (token !== undefined && rest.length === 0 && BEARER_TOKEN.test(token)) return token
  throw new Refusal('credentials_malformed', {}, { scheme: 'bearer' })
}

/**
 * The client id and secret of a Basic header: form-encoded, joined by a colon, in base64 (RFC 6749 §2.3.1).
 * Throws Refusal `credentials_malformed`.
 */
export function parseBasic(authorization: string): BasicCredentials {
  const encoded = authorization.slice('basic '.length).trim()
  const text = BASE64.test(encoded) ? Buffer.from(encoded, 'base64').toString('latin1') : ''
  const colon = text.indexOf(':')
  const id = decodeFormComponent(text.slice(0, Math.max(colon, 0)))
  const secret = decodeFormComponent(text.slice(colon + 1))
  if (colon > 0 && id !== undefined && secret !== undefined && secret !== '') return { id, secret }
  throw new Refusal('credentials_malformed', {}, { scheme: 'basic' })
}

function decodeFormComponent(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    return decoded.includes('\u0000') ? undefined : decoded
  } catch {
    return undefined
  }
}
