import { type Clock, repeat } from '../clock.ts'
import type { Db } from './connect.ts'
import { maintainPartitions, type PartitionChanges, type Retention } from './partitions.ts'

const INTERVAL_MILLISECONDS = 3_600_000
const RETRY_MILLISECONDS = 60_000
/** What could be dropped is dropped soon after a start, but no part of it. */
const FIRST_TURN_MILLISECONDS = 10_000

/**
 * Keeps partitions made and drops those whose time is over: a turn every hour, after a failure every minute. Those
 * of now are made before (`preparePartitions`). Answers the function that ends it and waits for a turn under way.
 */
export function startPartitionMaintenance(
  db: Db,
  options: {
    clock: Clock
    retention: Retention
    /** Told of partitions that a later turn created or dropped. */
    onChange: (changes: PartitionChanges) => void
    /** Told of a turn that failed. */
    onFailure: (error: unknown) => void
  },
): () => Promise<void> {
  const { clock, retention, onChange, onFailure } = options
  return repeat(
    async () => {
      const changes = await maintainPartitions(db, clock.now(), retention)
      if (changes.created.length + changes.dropped.length > 0) onChange(changes)
    },
    {
      firstMilliseconds: FIRST_TURN_MILLISECONDS,
      everyMilliseconds: INTERVAL_MILLISECONDS,
      retryMilliseconds: RETRY_MILLISECONDS,
      onFailure,
    },
  )
}
