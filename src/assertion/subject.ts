import type { Issuer } from '../database/queries/issuers.ts'
import { isServiceAccountEmail } from '../ids.ts'

/** OpenID Connect Core §2 allows 255 ASCII characters. No spaces, and no `*`, which is for patterns alone. */
const SUBJECT = /^[\x21-\x29\x2b-\x7e]{1,255}$/
/** Ids of accounts begin so; spelt otherwise they would pass for one to whoever folds case. */
const ACCOUNT_ID = /^acc_/i

/**
 * Whether an account may act for an end user: its delegation names the subject, exactly or by a prefix and `*`.
 * Never for what names an account: a token for it would pass for that account's own (RFC 9068 §5). Of other
 * organizations that is judged by the form alone: a look-up would tell whom they have (promise 9), and let them keep
 * users of ours out by inviting them. `issuerIdentifier` is ours. Pure.
 */
export function mayActFor(
  issuer: Pick<Issuer, 'delegation' | 'subjectIsAccount'>,
  subject: string,
  issuerIdentifier: string,
): boolean {
  if (issuer.delegation === null || !SUBJECT.test(subject)) return false
  if (ACCOUNT_ID.test(subject) || isServiceAccountEmail(subject, issuerIdentifier)) return false
  if (issuer.subjectIsAccount) return false
  return issuer.delegation.subjects.some((allowed) =>
    allowed.endsWith('*') ? subject.startsWith(allowed.slice(0, -1)) : subject === allowed,
  )
}
