import { repeat } from '../clock.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import { maintainSigningKeys, type SigningKeyChange } from './signing-keys.ts'

const INTERVAL_MILLISECONDS = 3_600_000
const RETRY_MILLISECONDS = 60_000

/**
 * Makes the signing keys that are missing and keeps them taking turns: a turn every hour, after a failure every
 * minute. Those that must be there are known to the key ring when this resolves; it throws when they cannot be made.
 * Answers the function that ends it and waits for a turn under way.
 */
export async function startSigningKeyMaintenance(
  services: Parameters<typeof maintainSigningKeys>[0],
  options: {
    keyRing: Pick<KeyRing, 'published' | 'reload'>
    /** Told of changes, unless keys were only made: those have yet to take their turn. */
    onChange: (changes: readonly SigningKeyChange[]) => void
    /** Told of a turn that failed. */
    onFailure: (error: unknown) => void
  },
): Promise<() => Promise<void>> {
  const { keyRing, onChange, onFailure } = options
  const takeTurn = async () => {
    await keyRing.reload()
    assertCanOpen(keyRing)
    const changes = await maintainSigningKeys(services)
    if (changes.length > 0) await keyRing.reload()
    if (changes.some(({ kind }) => kind !== 'create')) onChange(changes)
  }
  await takeTurn()
  return repeat(takeTurn, {
    firstMilliseconds: INTERVAL_MILLISECONDS,
    everyMilliseconds: INTERVAL_MILLISECONDS,
    retryMilliseconds: RETRY_MILLISECONDS,
    onFailure,
  })
}

/** What a node adds that lacks the key-encryption key of the others, they could not open. */
function assertCanOpen(keyRing: Pick<KeyRing, 'published'>): void {
  const closed = keyRing.published().find(({ status, canSign }) => status !== 'retiring' && !canSign)
  if (closed !== undefined) throw new Error(`this node has no key-encryption key that opens ${closed.id}`)
}
