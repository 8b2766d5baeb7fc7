import { randomBytes } from 'node:crypto'

/** What each prefix names. */
export type IdPrefix = 'org' | 'acc' | 'key' | 'rs' | 'rss' | 'tok' | 'evt' | 'sig' | 'req'

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

/** Whether the text has the form of an id of that kind. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && ID_BODY.test(text.slice(prefix.length + 1))
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

function randomCharacters(): string {
  let text = ''
  for (const byte of randomBytes(RANDOM_CHARACTERS)) text += ALPHABET[byte & 31]
  return text
}
