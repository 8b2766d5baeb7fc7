import { randomFillSync } from 'node:crypto'

/** What each prefix names. */
export type IdPrefix =
  | 'org'
  | 'acc'
  | 'key'
  | 'role'
  | 'grp'
  | 'rs'
  | 'rss'
  | 'tok'
  | 'evt'
  | 'ses'
  | 'sig'
  | 'req'

/** Crockford's base 32 in lower case: sorts like the numbers it spells, no letters that look alike. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
/** 48 bits of milliseconds, good until the year 10889. */
const TIME_CHARACTERS = 10
/** 130 random bits: an id that is also a token's `jti` must not be guessable (RFC 9068 §2.2, `jti`). */
const RANDOM_CHARACTERS = 26

/**
 * A new id: prefix, time, randomness. Ids made later sort later (to the millisecond), so they serve as
 * cursors, and no database sequence is needed on any node.
 */
export function newId(prefix: IdPrefix, nowMilliseconds: number): string {
  return `${prefix}_${encodeTime(nowMilliseconds)}${randomCharacters()}`
}

/** When an id was made, in milliseconds since the epoch; undefined for what is not an id of that kind. */
export function timeOfId(prefix: IdPrefix, id: string): number | undefined {
  if (!isId(prefix, id)) return undefined
  let time = 0
  for (const character of id.slice(prefix.length + 1, prefix.length + 1 + TIME_CHARACTERS)) {
    time = time * 32 + ALPHABET.indexOf(character)
  }
  return time
}

/** The bound of a time: ids made before it sort below, those made then or later do not. */
export function firstIdOf(prefix: IdPrefix, milliseconds: number): string {
  return `${prefix}_${encodeTime(Math.max(milliseconds, 0))}`
}

/** Whether the text has the form of an id of that kind. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && ID_BODY.test(text.slice(prefix.length + 1))
}

/** A service account's email: a name for assertions, never for mail. Unique, since slugs are. */
export function emailOf(accountSlug: string, organizationSlug: string, issuer: string): string {
  return `${accountSlug}@${organizationSlug}.${new URL(issuer).hostname}`
}

/**
 * Whether a text reads like the email of a service account, of whatever organization and in whatever case. Nobody
 * else is ever called so: judged by its form, that tells nothing of which accounts there are (promise 9).
 */
export function isServiceAccountEmail(text: string, issuer: string): boolean {
  const domain = text.slice(text.lastIndexOf('@') + 1).toLowerCase()
  const dot = domain.indexOf('.')
  return text.includes('@') && dot > 0 && domain.slice(dot + 1) === new URL(issuer).hostname
}

const ID_BODY = new RegExp(`^[${ALPHABET}]{${TIME_CHARACTERS + RANDOM_CHARACTERS}}$`)

function encodeTime(milliseconds: number): string {
  let rest = milliseconds
  let text = ''
  for (let position = 0; position < TIME_CHARACTERS; position++) {
    text = ALPHABET[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** Random bytes in store, each used once: asking the system for so few costs more than the rest of an id. */
const randomness = Buffer.alloc(RANDOM_CHARACTERS * 256)
let used = randomness.length

function randomCharacters(): string {
  if (used === randomness.length) {
    randomFillSync(randomness)
    used = 0
  }
  let text = ''
  for (const byte of randomness.subarray(used, used + RANDOM_CHARACTERS)) text += ALPHABET[byte & 31]
  used += RANDOM_CHARACTERS
  return text
}
