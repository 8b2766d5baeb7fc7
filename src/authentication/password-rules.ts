import { dictionary } from '@zxcvbn-ts/language-common'
import { Refusal } from '../errors.ts'

/** Length over rules (NIST SP 800-63B §3.1.1.2): counted in characters, as people count. */
const MIN_CHARACTERS = 12
/** Long enough for any passphrase, short enough not to be work. */
const MAX_CHARACTERS = 256

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
 * A password that somebody chooses, normalized. Any characters will do, there are no composition rules.
 * Pure. Throws Refusal `input_invalid` that points at the member of the body.
 */
export function requireGoodPassword(password: string, pointer: string): string {
  const normalized = normalizePassword(password)
  const fault = findFault(normalized)
  if (fault === undefined) return normalized
  // The length is not told either: the detail is logged.
  throw new Refusal('input_invalid', { pointer, fault }, { faults: [{ pointer, detail: fault }] })
}

function findFault(password: string): string | undefined {
  const { length } = [...password]
  if (length < MIN_CHARACTERS) return `must have at least ${MIN_CHARACTERS} characters`
  if (length > MAX_CHARACTERS) return `must have at most ${MAX_CHARACTERS} characters`
  if (COMMON.has(password.toLowerCase())) return 'is among the most common passwords, which are tried first'
  return undefined
}
