import { systemClock } from '../clock.ts'
import { OperatorError } from '../errors.ts'
import { createLogger, sharedStandardOutput } from '../observability/logger.ts'
import type { Metrics } from '../observability/metrics.ts'
import { type RunningServer, startServer } from '../server.ts'
import type { Order, Report } from './messages.ts'

/** A terminal or systemd sends them to all processes at once. The primary process stops its workers, each when it is told. */
const SIGNALS_OF_THE_PRIMARY = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/**
 * One of several processes that serve on one port: a node like any other, on a database that is prepared, until the
 * primary process says «stop». When the primary process dies, Node.js ends its workers. Throws OperatorError when it
 * was not started by one.
 */
export async function runWorker(): Promise<void> {
  if (process.send === undefined)
    throw new OperatorError('A worker is started by countersign serve --workers.')
  for (const signal of SIGNALS_OF_THE_PRIMARY) process.on(signal, () => undefined)
  const stop = nextOrder('stop')
  try {
    const server = await start(await nextOrder('serve'))
    if (server === undefined) return
    answerCounts(server.metrics)
    report({ kind: 'listening', url: server.url, port: server.port })
    await stop
    await server.stop()
  } finally {
    // What is still to be said is said; then nothing keeps the process.
    process.channel?.unref()
  }
}

/** Undefined when the operator has to mend something, which the primary process is told. */
async function start({
  config,
  validateResponses,
}: Extract<Order, { kind: 'serve' }>): Promise<(RunningServer & { metrics: Metrics }) | undefined> {
  try {
    return await startServer(config, {
      clock: systemClock,
      logger: createLogger(config.logLevel, sharedStandardOutput()),
      tell: () => undefined,
      validateResponses,
    })
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    report({ kind: 'refused', message: error.message })
    return undefined
  }
}

function answerCounts({ registry }: Metrics): void {
  process.on('message', async (order: Order) => {
    if (order.kind === 'count') report({ kind: 'counted', metrics: await registry.getMetricsAsJSON() })
  })
}

function nextOrder<Kind extends Order['kind']>(kind: Kind): Promise<Extract<Order, { kind: Kind }>> {
  return new Promise((resolve) => {
    const listen = (order: Order) => {
      if (order.kind !== kind) return
      process.off('message', listen)
      resolve(order as Extract<Order, { kind: Kind }>)
    }
    process.on('message', listen)
  })
}

/** A primary process that is gone hears nothing, and needs to hear nothing. */
function report(report: Report): void {
  process.send?.(report, undefined, undefined, () => undefined)
}
