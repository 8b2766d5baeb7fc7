import { Refusal } from '../errors.ts'

/** A compact JWS that has been taken apart and not yet verified: nothing in it may be believed. */
export type UnverifiedJwt = {
  compact: string
  header: { alg: string; kid: string | undefined; typ: string | undefined }
  /** Claims as parsed. Read members by name; never copy, log or clone the whole. */
  claims: Readonly<Record<string, unknown>>
}

/** RFC 8725bis §3.14: three parts of the base64url alphabet and nothing else, so no JSON form, no white space. */
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
/** Header members that change how the rest must be read; we read it one way only (RFC 7515 §4.1.11, 7797, 7516). */
const UNSUPPORTED_HEADERS = ['crit', 'b64', 'zip', 'cty']
const MAX_KID_LENGTH = 255

/**
 * Takes a compact JWS apart, stricter than JOSE libraries are: canonical base64url only (so that one JWT has
 * one spelling), UTF-8 without a byte-order mark, no repeated names at the top of header and claims.
 * `jwk`, `jku`, `x5c`, `x5u` and claims replicated in the header are left alone: keys come from the database,
 * except that of a DPoP proof, for which there is `embeddedKeyOf`.
 * Throws Refusal `assertion_malformed`.
 */
export function parseCompact(compact: string): UnverifiedJwt {
  const parts = COMPACT.exec(compact)
  if (parts === null) throw malformed('not three base64url parts')
  const [, header, payload, signature] = parts as unknown as [string, string, string, string]
  decodeBase64url(signature)
  return { compact, header: parseHeader(header), claims: parseObject(payload, 'claims') }
}

/**
 * The `jwk` member of the header (RFC 7515 §4.1.3), of any type. For a JWT that proves possession of the very key it
 * names (RFC 9449 §4.2); anywhere else it is whatever the sender likes.
 */
export function embeddedKeyOf(jwt: UnverifiedJwt): unknown {
  const [header = ''] = jwt.compact.split('.', 1)
  return parseObject(header, 'header').jwk
}

/** A text that PostgreSQL can store and a log can show: no control characters, no lone surrogates. */
export function isCleanText(value: unknown, maxLength: number): value is string {
  return (
    typeof value === 'string' && value.length <= maxLength && value.isWellFormed() && !CONTROL.test(value)
  )
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/

/**
 * The media type that a `typ` names, without its `application/` prefix and in lower case (RFC 7515 §4.1.9);
 * undefined when there is none.
 */
export function normalizeType(typ: string | undefined): string | undefined {
  return typ?.toLowerCase().replace(/^application\//, '')
}

function parseHeader(part: string): UnverifiedJwt['header'] {
  const header = parseObject(part, 'header')
  const unsupported = UNSUPPORTED_HEADERS.find((name) => Object.hasOwn(header, name))
  if (unsupported !== undefined) throw malformed(`header member ${unsupported} is not supported`)
  const { alg, kid, typ } = header
  if (typeof alg !== 'string') throw malformed('alg is not a string')
  if (kid !== undefined && !isCleanText(kid, MAX_KID_LENGTH)) throw malformed('kid is not a plain string')
  if (typ !== undefined && typeof typ !== 'string') throw malformed('typ is not a string')
  return { alg, kid, typ }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseObject(part: string, what: string): Record<string, unknown> {
  let text: string
  let value: unknown
  try {
    text = utf8.decode(decodeBase64url(part))
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw malformed(`${what} is not JSON in UTF-8`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} is not an object`)
  const members = readMembers(text)
  if (new Set(members.map(([name]) => name)).size < members.length)
    throw malformed(`${what} has a repeated name`)
  return Object.fromEntries(members)
}

/** Only the canonical spelling: unused trailing bits must be zero (RFC 4648 §3.5). */
function decodeBase64url(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) throw malformed('base64url is not canonical')
  return bytes
}

/**
 * The members at the top of an object's JSON text, in order, also those with equal names: JSON.parse keeps one of
 * them, and proxies and log parsers may take another one than we do (RFC 7515 §4, RFC 7519 §4). The text is known to
 * be valid JSON, so that a colon or a comma outside a string at depth one ends a name or a value.
 *
 * Each name is parsed by itself: in the whole, Node.js 24 and 26 may take one that is written with an escape for
 * another one that anybody has sent before (nodejs/node#63785).
 */
function readMembers(text: string): [name: string, value: unknown][] {
  const members: [string, unknown][] = []
  let depth = 0
  let start = 0
  let name = ''
  for (let position = 0; position < text.length; position++) {
    const character = text[position]
    if (character === '"') position = endOfString(text, position)
    else if (character === '{' || character === '[') {
      if (++depth === 1) start = position + 1
    } else if (character === ':' && depth === 1) {
      name = JSON.parse(text.slice(start, position))
      start = position + 1
    } else if (
      (character === ',' && depth === 1) ||
      ((character === '}' || character === ']') && --depth === 0)
    ) {
      const value = text.slice(start, position)
      if (value.trim() !== '') members.push([name, JSON.parse(value)])
      start = position + 1
    }
  }
  return members
}

function endOfString(text: string, start: number): number {
  let position = start + 1
  while (text[position] !== '"') position += text[position] === '\\' ? 2 : 1
  return position
}

function malformed(fact: string): Refusal {
  return new Refusal('assertion_malformed', { fact })
}
