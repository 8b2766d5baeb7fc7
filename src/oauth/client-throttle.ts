import { Refusal } from '../errors.ts'
import { createFailureCounter } from '../http/failure-counter.ts'
import { networkOf } from '../network.ts'

/** Wrong secrets in a minute (RFC 6749 §2.3.1): for one client from one network, and from one network for all. */
const FAILURES_PER_CLIENT = 10
const FAILURES_PER_NETWORK = 60
const WINDOW_SECONDS = 60
const MAX_CLIENT_ID_LENGTH = 320

export type ClientThrottle = {
  /**
   * Runs an authentication and counts it when it fails; beyond the limit a failure is refused without a verdict.
   * Credentials that hold are let in all the same. Throws Refusal `too_many_requests`, and what the
   * authentication throws.
   */
  guard<Result>(
    client: { ip: string; clientId: string },
    authenticate: () => Promise<Result>,
  ): Promise<Result>
}

/**
 * Slows down whoever guesses secrets at the token endpoint. Always counted by network: whoever sends wrong
 * secrets for an account closes it to nobody elsewhere. Counted in this process: n nodes allow n times as much,
 * which against 256 random bits makes no difference. Its memory is bounded, whatever is sent.
 */
export function createClientThrottle(): ClientThrottle {
  const networks = createFailureCounter(FAILURES_PER_NETWORK, WINDOW_SECONDS)
  const clients = createFailureCounter(FAILURES_PER_CLIENT, WINDOW_SECONDS)
  return {
    async guard({ ip, clientId }, authenticate) {
      try {
        return await authenticate()
      } catch (error) {
        if (!(error instanceof Refusal) || error.reason !== 'credentials_invalid') throw error
        const network = networkOf(ip)
        const client = `${network} ${clientId.slice(0, MAX_CLIENT_ID_LENGTH)}`
        const retryAfterSeconds = (await networks.count(network)) ?? (await clients.count(client))
        if (retryAfterSeconds === undefined) throw error
        // The operator still hears whose secret was wrong, and why.
        throw new Refusal('too_many_requests', error.detail, { retryAfterSeconds })
      }
    },
  }
}
