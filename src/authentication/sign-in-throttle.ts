import { createHmac, randomBytes } from 'node:crypto'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { Refusal } from '../errors.ts'
import { networkOf } from '../network.ts'

/** Wrong guesses that are let through, and the time in which they count. */
export type ThrottleLimits = Record<
  'address' | 'accountAtAddress' | 'account' | 'codes' | 'openid',
  { points: number; duration: number }
>

const LIMITS: ThrottleLimits = {
  /** From one network address, at whatever accounts. Many people may sit behind it. */
  address: { points: 60, duration: 900 },
  /** At one account from one address: room for typing errors. */
  accountAtAddress: { points: 10, duration: 900 },
  /** At one account, from all addresses together that it has never signed in from. */
  account: { points: 60, duration: 3600 },
  /** Codes of a second factor for one account, likewise: three of a million codes hold at any time. */
  codes: { points: 10, duration: 3600 },
  /** What one address has us ask of identity providers, right or wrong: to begin a sign-in and to end it. */
  openid: { points: 600, duration: 900 },
}

/** One attempt that was let through; it counts as a wrong guess until it is told to have held. */
export type Attempt = { held(): Promise<void> }

export type SignInThrottle = {
  /** Before the account is looked up, from an address. Throws Refusal `too_many_requests`. */
  begin(email: string, ip: string): Promise<Attempt>
  /**
   * Once it is known whether the account has signed in from there before; `who` is its address, for codes its id.
   * Throws Refusal `too_many_requests`.
   */
  goOn(kind: 'account' | 'codes', who: string, isKnownAddress: boolean): Promise<Attempt>
  /** Counts that an identity provider is about to be asked. Throws Refusal `too_many_requests`. */
  countOpenid(ip: string): Promise<void>
}

/** Buckets that all accounts and addresses share: what attackers name takes no more memory than these. */
const BUCKETS = 65_536
const NO_COUNT: Attempt = { held: async () => undefined }

/**
 * Slows down whoever guesses passwords and codes, by address and by account. Attempts count before they are
 * judged, so that many at once are no way around; what holds is taken back.
 *
 * Nobody can lock an administrator out from elsewhere: addresses that the account has signed in from are not
 * counted with the others. Accounts are counted by the address that was typed, whether it exists or not.
 *
 * Counted in this process: n nodes let n times as many through. Keys are mapped to a fixed number of buckets
 * by a secret that changes with every start, so memory is bounded and nobody can aim at another's bucket.
 */
export function createSignInThrottle(limits: ThrottleLimits = LIMITS): SignInThrottle {
  const secret = randomBytes(32)
  const limiters = {
    address: new RateLimiterMemory(limits.address),
    accountAtAddress: new RateLimiterMemory(limits.accountAtAddress),
    account: new RateLimiterMemory(limits.account),
    codes: new RateLimiterMemory(limits.codes),
    openid: new RateLimiterMemory(limits.openid),
  }

  return {
    async begin(email, ip) {
      const network = networkOf(ip)
      const attempts = [
        await count('address', network),
        await count('accountAtAddress', `${email} ${network}`),
      ]
      return { held: async () => void (await Promise.all(attempts.map((attempt) => attempt.held()))) }
    },
    goOn: (kind, who, isKnownAddress) => (isKnownAddress ? Promise.resolve(NO_COUNT) : count(kind, who)),
    countOpenid: async (ip) => void (await count('openid', networkOf(ip))),
  }

  async function count(kind: keyof typeof limiters, key: string): Promise<Attempt> {
    const bucket = bucketOf(`${kind} ${key}`)
    try {
      await limiters[kind].consume(bucket)
    } catch (rejection) {
      if (!(rejection instanceof RateLimiterRes)) throw rejection
      const retryAfterSeconds = Math.ceil(rejection.msBeforeNext / 1000)
      throw new Refusal('too_many_requests', { limit: kind }, { retryAfterSeconds })
    }
    return { held: async () => void (await limiters[kind].reward(bucket)) }
  }

  function bucketOf(key: string): string {
    return String(createHmac('sha256', secret).update(key).digest().readUInt32BE() % BUCKETS)
  }
}
