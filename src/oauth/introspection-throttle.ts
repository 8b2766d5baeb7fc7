import { type Reason, Refusal } from '../errors.ts'
import { createFailureCounter } from '../http/failure-counter.ts'
import { networkOf } from '../network.ts'
import type { Inspection } from '../tokens/inspect.ts'

/** Failed authentications that one network may have in a minute (RFC 6749 §2.3.1). */
const FAILED_CREDENTIALS_PER_MINUTE = 60
/** What counts as a guess at a secret or a token. */
const GUESSES: readonly Reason[] = ['credentials_malformed', 'credentials_invalid', 'token_invalid']
/** Tokens that nobody ever issued, that one caller may ask about in a minute (RFC 7662 §4). */
const UNKNOWN_TOKENS_PER_MINUTE = 300
const WINDOW_SECONDS = 60

export type IntrospectionThrottle = {
  /**
   * Runs an authentication and counts its failures by network; further ones are refused without a verdict.
   * Credentials that hold are let in all the same: behind one address there may be many callers.
   */
  guardCredentials<Result>(ip: string, authenticate: () => Promise<Result>): Promise<Result>
  /**
   * Counts an answer about a token that nobody ever issued, and refuses it when the caller had too many of
   * them. About tokens that exist the caller is answered all the same: whoever sends an API made-up tokens
   * must not be able to close it to everybody else.
   */
  assertNotFishing(callerId: string, inspection: Inspection): Promise<void>
}

/**
 * Slows down whoever guesses secrets or tokens. Counted in this process: n nodes allow n times as much, which
 * against 256 random bits makes no difference. Its memory is bounded, whatever is sent. Throws Refusal
 * `too_many_requests`.
 */
export function createIntrospectionThrottle(): IntrospectionThrottle {
  const failures = createFailureCounter(FAILED_CREDENTIALS_PER_MINUTE, WINDOW_SECONDS)
  const unknownTokens = createFailureCounter(UNKNOWN_TOKENS_PER_MINUTE, WINDOW_SECONDS)
  return {
    async guardCredentials(ip, authenticate) {
      try {
        return await authenticate()
      } catch (error) {
        if (!(error instanceof Refusal) || !GUESSES.includes(error.reason)) throw error
        const retryAfterSeconds = await failures.count(networkOf(ip))
        if (retryAfterSeconds === undefined) throw error
        // The operator still hears what was refused.
        throw new Refusal('too_many_requests', error.detail, { retryAfterSeconds })
      }
    },
    async assertNotFishing(callerId, inspection) {
      if (inspection.active || (inspection.why !== 'unknown' && inspection.why !== 'malformed')) return
      const retryAfterSeconds = await unknownTokens.count(callerId)
      if (retryAfterSeconds !== undefined)
        throw new Refusal('too_many_requests', { callerId }, { retryAfterSeconds })
    },
  }
}
