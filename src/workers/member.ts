import cluster, { type Worker } from 'node:cluster'
import { OperatorError } from '../errors.ts'
import type { CountedMetrics } from '../observability/worker-metrics.ts'
import type { Order, Report } from './messages.ts'

/** One worker process, as the primary process sees it. */
export type Member = {
  pid: number | undefined
  /** Resolves once it serves. Throws OperatorError, with the worker's own words, when it ends before. */
  listening: Promise<{ url: string; port: number }>
  /** Resolves when the process has ended, with how. */
  ended: Promise<string>
  /** What it has counted so far; what it said last, when it does not answer in time. */
  count(): Promise<CountedMetrics | undefined>
  /** What it said last. */
  lastCounted(): CountedMetrics | undefined
  /** Tells it to answer what is under way and to end. One that starts yet does so once it serves. */
  stop(): void
}

/** Longer than a busy worker takes, shorter than Prometheus waits. */
const COUNT_MILLISECONDS = 3_000

/** Starts a worker. `order` is what it has to serve with. */
export function startMember(order: Extract<Order, { kind: 'serve' }>): Member {
  const worker = cluster.fork()
  let refused: string | undefined
  let counted: CountedMetrics | undefined
  let isToStop = false

  const listening = Promise.withResolvers<{ url: string; port: number }>()
  const waiting = new Set<() => void>()
  worker.on('message', (report: Report) => {
    switch (report.kind) {
      case 'listening':
        return listening.resolve({ url: report.url, port: report.port })
      case 'refused':
        refused = report.message
        return
      case 'counted':
        counted = report.metrics
        for (const resolve of waiting) resolve()
        return waiting.clear()
    }
  })
  const ended = new Promise<string>((resolve) => {
    const end = (how: string) => {
      listening.reject(new OperatorError(refused ?? `A worker could not start: it ${how}.`))
      for (const resume of waiting) resume()
      resolve(refused ?? how)
    }
    worker.once('exit', (code, signal) => end(signal ? `ended by ${signal}` : `ended with exit code ${code}`))
    // A process that the system refuses never exits.
    worker.on('error', (error) => {
      if (worker.process.pid === undefined) end(`was refused by the system: ${error.message}`)
    })
  })
  // Who waits for it is told; a worker that takes the place of another may fail unseen.
  listening.promise.catch(() => undefined)
  send(worker, order)

  return {
    pid: worker.process.pid,
    listening: listening.promise,
    ended,
    async count() {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.add(resolve)
      const timer = setTimeout(resolve, COUNT_MILLISECONDS)
      send(worker, { kind: 'count' })
      await promise
      clearTimeout(timer)
      waiting.delete(resolve)
      return counted
    },
    lastCounted: () => counted,
    stop() {
      if (!isToStop) send(worker, { kind: 'stop' })
      isToStop = true
    },
  }
}

/** One that is gone hears nothing; that it is gone is told by its end. */
function send(worker: Worker, order: Order): void {
  if (worker.isConnected()) worker.process.send?.(order, undefined, undefined, () => undefined)
}
