import { createHash, randomInt } from 'node:crypto'

/** How many somebody gets, each good for one sign-in without the second factor. */
const COUNT = 10
/**
 * No letters that look alike: Crockford's base 32. 28 of them are 140 random bits, beyond any search, also of who has
 * the digests. Codes of 16, from before, are good until they are used or replaced.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const CHARACTERS = 28
const GROUP = /.{4}(?=.)/g

/** A fresh set of codes, such as `7k2m-9xqd-4hnt-p0ra-c8ve-w3zs-1gbf`. They are shown once. */
export function createRecoveryCodes(): string[] {
  return Array.from({ length: COUNT }, () => {
    const characters = Array.from({ length: CHARACTERS }, () => ALPHABET[randomInt(ALPHABET.length)])
    return characters.join('').replaceAll(GROUP, '$&-')
  })
}

/** What is stored of a code: bound to its account, whatever spaces, hyphens and capitals it is typed with. */
export function digestRecoveryCode(accountId: string, code: string): Buffer {
  const plain = code
    .toLowerCase()
    .replaceAll(/[\s-]/g, '')
    // As Crockford has it: what looks like a digit is one.
    .replaceAll('o', '0')
    .replaceAll(/[il]/g, '1')
  return createHash('sha256').update(`${accountId} ${plain}`).digest()
}
