import { codeOf, Refusal } from '../errors.ts'

export type BatchOptions = {
  /** Items that one statement takes at most. */
  maxItems: number
  /** Items that may wait; beyond it new ones are refused at once instead of queueing without end. */
  maxWaiting: number
  /** Told the size of each batch, for the metric. */
  onBatch?: (size: number) => void
}

type Waiting<Item, Outcome> = {
  item: Item
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

/**
 * Turns a function over many items into one over a single item that shares its calls with everybody else
 * in flight. A batch begins once the event loop has read what has arrived: one request alone waits for nothing, those
 * that came together go together, and those that come while a batch is under way form the next one. So the load
 * itself sets the batch size, and nobody ever waits on a timer.
 *
 * `run` answers one outcome per item, in their order. When the database refuses the data of a batch, each
 * item is run alone, so that one bad item never fails its neighbours.
 */
export function createBatch<Item, Outcome>(
  run: (items: readonly Item[]) => Promise<readonly Outcome[]>,
  options: BatchOptions,
): (item: Item) => Promise<Outcome> {
  let waiting: Waiting<Item, Outcome>[] = []
  let running = false

  return (item) => {
    if (waiting.length >= options.maxWaiting) {
      return Promise.reject(
        new Refusal('database_unavailable', { queued: waiting.length }, { retryAfterSeconds: 1 }),
      )
    }
    return new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (running) return
      running = true
      setImmediate(flush)
    })
  }

  async function flush(): Promise<void> {
    const batch = waiting.slice(0, options.maxItems)
    waiting = waiting.slice(options.maxItems)
    options.onBatch?.(batch.length)
    await settle(batch)
    running = waiting.length > 0
    if (running) setImmediate(flush)
  }

  async function settle(batch: readonly Waiting<Item, Outcome>[]): Promise<void> {
    try {
      const outcomes = await run(batch.map((entry) => entry.item))
      batch.forEach((entry, position) => {
        entry.resolve(outcomes[position] as Outcome)
      })
    } catch (error) {
      if (batch.length > 1 && isDataError(error)) {
        for (const entry of batch) await settle([entry])
      } else {
        for (const entry of batch) entry.reject(error)
      }
    }
  }
}

/** SQLSTATE classes 22 (data exception) and 23 (constraint violation): nothing of the batch was written. */
function isDataError(error: unknown): boolean {
  return /^2[23]/.test(codeOf(error) ?? '')
}
