import { repeat } from '../clock.ts'
import { maintainSigningKeys, type SigningKeyChange } from './signing-keys.ts'

const INTERVAL_MILLISECONDS = 3_600_000
const RETRY_MILLISECONDS = 60_000

/**
 * Makes the signing keys that are missing and keeps them taking turns: a turn every hour, after a failure every
 * minute. Those that must be there are when this resolves; it throws when they cannot be made.
 * Answers the function that ends it and waits for a turn under way.
 */
export async function startSigningKeyMaintenance(
  services: Parameters<typeof maintainSigningKeys>[0],
  options: {
    onChange: (change: SigningKeyChange) => void
    /** Told of a turn that failed. */
    onFailure: (error: unknown) => void
  },
): Promise<() => Promise<void>> {
  const takeTurn = async () => {
    for (const change of await maintainSigningKeys(services)) options.onChange(change)
  }
  await takeTurn()
  return repeat(takeTurn, {
    firstMilliseconds: INTERVAL_MILLISECONDS,
    everyMilliseconds: INTERVAL_MILLISECONDS,
    retryMilliseconds: RETRY_MILLISECONDS,
    onFailure: options.onFailure,
  })
}
