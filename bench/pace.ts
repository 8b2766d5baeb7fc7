import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { Piece } from './mix.ts'

/** What became of a stretch of requests. */
type Stretch = {
  /** Milliseconds, by request that was answered as it should be. */
  latencies: number[]
  /** The first of the answers that were not what they should be, and how many there were. */
  failures: string[]
  failed: number
}

const KEPT_FAILURES = 5
/** Requests in flight and waiting beyond which the server does not keep up; what is due then fails unsent. */
const MAX_PENDING = 5_000

/**
 * Sends requests at a steady rate, whether the answers come or not: an open loop, as many callers are who know nothing
 * of each other. Latencies count from the moment when a request was due, so that no stall hides the requests behind it.
 */
export async function holdRate(options: {
  client: Client
  next: () => Promise<Piece>
  perSecond: number
  seconds: number
  signal?: AbortSignal
}): Promise<Stretch> {
  const { client, next, perSecond, seconds, signal } = options
  const stretch = newStretch()
  const pending = new Set<Promise<void>>()
  const startedAt = performance.now()
  const total = Math.round(perSecond * seconds)
  for (let sent = 0; sent < total && !signal?.aborted; await sleep(1)) {
    const due = Math.min(total, ((performance.now() - startedAt) / 1000) * perSecond)
    for (; sent < due; sent++) {
      if (pending.size >= MAX_PENDING) {
        noteFailure(stretch, `${MAX_PENDING} requests wait: the server does not keep up`)
        continue
      }
      const request = perform(client, next, startedAt + (sent / perSecond) * 1000, stretch)
      pending.add(request)
      void request.finally(() => pending.delete(request))
    }
  }
  await Promise.all(pending)
  return stretch
}

/** As many requests as `callers` get answered one after the other. */
export async function pushOn(options: {
  client: Client
  next: () => Promise<Piece>
  callers: number
  seconds: number
}): Promise<Stretch> {
  const stretch = newStretch()
  const endsAt = performance.now() + options.seconds * 1000
  await Promise.all(
    Array.from({ length: options.callers }, async () => {
      while (performance.now() < endsAt)
        await perform(options.client, options.next, performance.now(), stretch)
    }),
  )
  return stretch
}

function newStretch(): Stretch {
  return { latencies: [], failures: [], failed: 0 }
}

async function perform(
  client: Client,
  next: () => Promise<Piece>,
  dueAt: number,
  stretch: Stretch,
): Promise<void> {
  const fault = await next()
    .then(async ({ request, judge }) => judge(await client.send(request)))
    .catch((error: unknown) => String(error))
  if (fault === undefined) return void stretch.latencies.push(performance.now() - dueAt)
  noteFailure(stretch, fault)
}

function noteFailure(stretch: Stretch, fault: string): void {
  stretch.failed++
  if (stretch.failures.length < KEPT_FAILURES) stretch.failures.push(fault.slice(0, 500))
}
