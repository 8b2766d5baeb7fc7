import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { WorkerMetrics } from '../observability/worker-metrics.ts'
import { type Member, startMember } from './member.ts'
import type { Order } from './messages.ts'
import { countLoss, pauseAfter } from './pause.ts'

/** A number of workers that is kept up. */
export type Crew = {
  url: string
  port: number
  /** The metrics of all of them. */
  readMetrics(): Promise<string>
  /** Lets every worker answer what is under way; resolves when all have ended. */
  stop(): Promise<void>
}

export type CrewOptions = {
  count: number
  order: Extract<Order, { kind: 'serve' }>
  logger: Logger
  metrics: WorkerMetrics
}

/**
 * Starts so many workers, and a new one wherever one ends. Throws OperatorError when one of the first cannot start; then
 * none is left.
 */
export async function startCrew({ count, order, logger, metrics }: CrewOptions): Promise<Crew> {
  // Whoever is ready accepts. Handed round by this process, a connection would be lost with the worker that it waits for.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ args: ['worker'], serialization: 'advanced' })
  const alive = new Set<Member>()
  const serving = new Set<Member>()
  const stopping = new AbortController()
  const first = Array.from({ length: count }, () => startMember(order))
  try {
    await Promise.all(first.map((member) => member.listening))
  } catch (error) {
    await dismiss(first)
    throw error
  }
  const places = first.map(keepPlace)
  const { url, port } = await (first[0] as Member).listening

  return {
    url,
    port,
    async readMetrics() {
      const counted = await Promise.all([...serving].map((member) => member.count()))
      return metrics.sum(counted.filter((each) => each !== undefined))
    },
    async stop() {
      stopping.abort()
      for (const member of alive) member.stop()
      await Promise.all(places)
    },
  }

  /** Until all are to stop, somebody works here. */
  async function keepPlace(first: Member): Promise<void> {
    let losses = 0
    for (let member = first; ; member = startMember(order)) {
      const startedAt = performance.now()
      const how = await attend(member)
      if (stopping.signal.aborted) return
      losses = countLoss(losses, performance.now() - startedAt)
      const pauseMilliseconds = pauseAfter(losses)
      logger.error({ pid: member.pid, how, pauseMilliseconds }, 'a worker has ended')
      await sleep(pauseMilliseconds, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return
    }
  }

  /** From its start to its end. */
  async function attend(member: Member): Promise<string> {
    alive.add(member)
    const isServing = await member.listening.then(
      () => true,
      () => false,
    )
    if (isServing) {
      serving.add(member)
      metrics.started()
    }
    const how = await member.ended
    alive.delete(member)
    if (serving.delete(member)) metrics.ended(member.lastCounted(), stopping.signal.aborted)
    return how
  }
}

async function dismiss(members: readonly Member[]): Promise<void> {
  for (const member of members) member.stop()
  await Promise.all(members.map((member) => member.ended))
}
