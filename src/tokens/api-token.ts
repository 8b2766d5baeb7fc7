import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** 256 random bits in 43 characters (RFC 6749 §10.10 asks for 128, recommends 160). */
const SECRET_OCTETS = 32
const ID_PREFIX = 'key_'
const PREFIX = 'csk_'
/** `csk_`, the body of a key id, the secret, the checksum. Scanners look for the same; see docs/api-tokens.md. */
const API_TOKEN = /^csk_([0-9a-hjkmnp-tv-z]{36})[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{6}$/
const CHECKSUM_LENGTH = 6
/** Characters shown at either end. The last ones are of the checksum: at least 232 random bits stay hidden. */
const SHOWN_CHARACTERS = 4

/**
 * A new API token for the key with that id: `csk_`, the id's body, 256 random bits, a checksum. All of its
 * characters are `A-Z a-z 0-9 _ -`, so that HTTP Basic takes it with or without form-encoding.
 */
export function createApiToken(keyId: string): string {
  const text = PREFIX + keyId.slice(ID_PREFIX.length) + randomBytes(SECRET_OCTETS).toString('base64url')
  return text + checksumOf(text)
}

/** Whether a text is meant to be an API token: then nothing else is tried. */
export function looksLikeApiToken(text: string): boolean {
  return text.startsWith(PREFIX)
}

/**
 * The id of the key that an API token names; undefined when form or checksum are wrong, so that a mistyped,
 * cut or invented one costs no look-up. Says nothing about whether there is such a key.
 */
export function keyIdOfApiToken(text: string): string | undefined {
  const body = API_TOKEN.exec(text)?.[1]
  if (body === undefined) return undefined
  const end = text.length - CHECKSUM_LENGTH
  if (text.slice(end) !== checksumOf(text.slice(0, end))) return undefined
  return ID_PREFIX + body
}

/** How an API token is shown afterwards: its two ends. */
export function obfuscateApiToken(token: string): string {
  return `${token.slice(0, PREFIX.length + SHOWN_CHARACTERS)}…${token.slice(-SHOWN_CHARACTERS)}`
}

/** CRC-32 of all characters before it, big-endian, in base64url: 32 bits in 6 characters. */
function checksumOf(text: string): string {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(crc32(text))
  return octets.toString('base64url')
}
