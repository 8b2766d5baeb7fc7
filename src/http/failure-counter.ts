import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

/** Keys that are counted at a time. Beyond, the one that failed longest ago is forgotten. */
const MAX_KEYS = 10_000

/** Counts failures by key, `limit` of which are free in a window. Its memory is bounded, whatever is sent. */
export function createFailureCounter(limit: number, windowSeconds: number) {
  const limiter = new RateLimiterMemory({ points: limit, duration: windowSeconds })
  /** The keys that the limiter may know, the one that failed last at the end. */
  const keys = new Set<string>()

  return {
    /** Counts one more; answers in how many seconds the window ends when that was one too many. */
    async count(key: string): Promise<number | undefined> {
      keys.delete(key)
      keys.add(key)
      const [oldest] = keys
      if (keys.size > MAX_KEYS && oldest !== undefined) {
        keys.delete(oldest)
        await limiter.delete(oldest)
      }
      return limiter.consume(key).then(
        () => undefined,
        (rejection: unknown) => {
          if (rejection instanceof RateLimiterRes) return Math.ceil(rejection.msBeforeNext / 1000)
          throw rejection
        },
      )
    },
  }
}
