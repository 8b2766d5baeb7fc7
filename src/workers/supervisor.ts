import type { Config } from '../config.ts'
import { serveMetrics } from '../observability/metrics.ts'
import { createWorkerMetrics } from '../observability/worker-metrics.ts'
import { prepare } from '../preparation.ts'
import type { RunningServer, ServerOptions } from '../server.ts'
import { startCrew } from './crew.ts'

/**
 * The server of `startServer`, by several processes on one port. This one prepares the database, keeps the workers up
 * and adds up their metrics; it answers no request. It has effects on the process as a whole: one per process.
 * Throws OperatorError for what the operator must mend, and then leaves nothing running.
 */
export async function startWorkers(config: Config, options: ServerOptions): Promise<RunningServer> {
  await using starting = new AsyncDisposableStack()
  const prepared = await prepare(config, options)
  starting.defer(() => prepared.close())
  const metrics = createWorkerMetrics()
  const crew = await startCrew({
    count: config.workers,
    order: {
      kind: 'serve',
      config: configOfWorker(config, prepared.database.url),
      validateResponses: options.validateResponses,
    },
    logger: options.logger,
    metrics,
  })
  starting.defer(() => crew.stop())
  if (config.metricsPort !== undefined)
    starting.defer(await serveMetrics(crew.readMetrics, config.host, config.metricsPort))

  const running = starting.move()
  let stopping: Promise<void> | undefined
  return {
    url: crew.url,
    port: crew.port,
    issuer: config.issuer,
    dataDir: prepared.database.dataDir,
    operatorKeyFile: prepared.operatorKeyFile,
    issueSetUpLink: prepared.issueSetUpLink,
    stop: () => {
      stopping ??= running.disposeAsync()
      return stopping
    },
  }
}

/** That of one node of several: the database is there and prepared, and the metrics are read from here. */
function configOfWorker(config: Config, databaseUrl: string): Config {
  return {
    ...config,
    database: { kind: 'external', url: databaseUrl },
    migrate: false,
    metricsPort: undefined,
    workers: 1,
  }
}
