import { dictionary } from '@zxcvbn-ts/language-common'
import { Refusal } from '../errors.ts'

/** Length over rules (NIST SP 800-63B §3.1.1.2): counted in characters, as people count. */
const MIN_CHARACTERS = 12
/** Long enough for any passphrase, short enough not to be work. */
const MAX_CHARACTERS = 256

/** A name that nobody has to guess. */
const PRODUCT = 'countersign'
/** Shorter ones stand in any text by chance. */
const MIN_WORD_CHARACTERS = 3
const NO_WORD = /[^\p{L}\p{M}\p{N}]+/u

/** The 49,000 most common passwords of leaks, all in lower case: more than the 10,000 that must be refused. */
const COMMON: ReadonlySet<string> = new Set(
  dictionary['passwords-common'].map((password) => password.toLowerCase()),
)

/**
 * The one form in which a password is hashed: the same characters typed on two keyboards are the same octets
 * (NIST SP 800-63B §3.1.1.2 asks for a normalization; NFC keeps what was typed).
 */
export function normalizePassword(password: string): string {
  return password.normalize('NFC')
}

/**
 * A password that somebody chooses, normalized. Any characters will do, there are no composition rules. `names` are
 * those of the person and the organization, addresses too: whoever guesses knows them, so they count for nothing
 * (NIST SP 800-63B §3.1.1.2, context-specific words).
 * Pure. Throws Refusal `input_invalid` that points at the member of the body.
 */
export function requireGoodPassword(password: string, pointer: string, names: readonly string[]): string {
  const normalized = normalizePassword(password)
  const fault = findFault(normalized, names)
  if (fault === undefined) return normalized
  // The length is not told either: the detail is logged.
  throw new Refusal('input_invalid', { pointer, fault }, { faults: [{ pointer, detail: fault }] })
}

function findFault(password: string, names: readonly string[]): string | undefined {
  const length = lengthOf(password)
  if (length < MIN_CHARACTERS) return `must have at least ${MIN_CHARACTERS} characters`
  if (length > MAX_CHARACTERS) return `must have at most ${MAX_CHARACTERS} characters`
  if (COMMON.has(password.toLowerCase())) return 'is among the most common passwords, which are tried first'
  if (lengthOf(withoutNames(password, names)) < MIN_CHARACTERS)
    return `must have at least ${MIN_CHARACTERS} characters besides the names of the person, the organization and this product`
  return undefined
}

function lengthOf(text: string): number {
  return [...text].length
}

/** Without the words of which names are made, in any case. */
function withoutNames(password: string, names: readonly string[]): string {
  const words = [PRODUCT, ...names].flatMap((name) => normalizePassword(name).toLowerCase().split(NO_WORD))
  const known = [...new Set(words)].filter((word) => lengthOf(word) >= MIN_WORD_CHARACTERS)
  // Long ones first: of «bridges» nothing is left when «bridge» is a word too.
  known.sort((one, other) => other.length - one.length)
  return known.reduce((rest, word) => rest.replaceAll(word, ''), password.toLowerCase())
}
