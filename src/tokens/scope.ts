import { Refusal } from '../errors.ts'

/** RFC 6749 §3.3: one or more tokens of %x21 / %x23-5B / %x5D-7E, separated by single spaces. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/

/**
 * Splits a scope value into its tokens, each once, in the order given; undefined stays undefined.
 * Throws Refusal `scope_malformed`.
 */
export function parseScope(value: string | undefined): string[] | undefined {
  if (value === undefined) return undefined
  if (!SCOPE.test(value)) throw new Refusal('scope_malformed', { received: value.slice(0, 300) })
  return [...new Set(value.split(' '))]
}

/**
 * The scope a grant asks for: the form's, or the assertion's when the form has none. An assertion's scope is
 * a ceiling for the form's: what was signed is what may be had.
 * Throws Refusal `scope_malformed` or `scope_not_granted`.
 */
export function requestedScope(
  fromForm: string | undefined,
  fromAssertion: string | undefined,
): string[] | undefined {
  const asked = parseScope(fromForm)
  const ceiling = parseScope(fromAssertion === '' ? undefined : fromAssertion)
  if (asked === undefined || ceiling === undefined) return asked ?? ceiling
  const beyond = asked.filter((name) => !ceiling.includes(name))
  if (beyond.length === 0) return asked
  throw new Refusal('scope_not_granted', { beyondAssertion: beyond, ceiling })
}
