import type { Logger } from 'pino'
import manifest from '../package.json' with { type: 'json' }
import { createApp } from './app.ts'
import { type Clock, repeat } from './clock.ts'
import { type Config, isTracingAsked } from './config.ts'
import { startPartitionMaintenance } from './database/partition-maintenance.ts'
import { retentionOf } from './database/partitions.ts'
import type { Invitation } from './directory/invitations.ts'
import type { OperatorKeyFile } from './directory/operator-key-file.ts'
import { startSigningKeyMaintenance } from './directory/signing-key-maintenance.ts'
import { messageOf } from './errors.ts'
import { listen } from './http/listener.ts'
import { createRefusalFloor } from './http/refusal-floor.ts'
import { createTarpit } from './http/tarpit.ts'
import { createMetrics, type Metrics, serveMetrics } from './observability/metrics.ts'
import { startTracing } from './observability/tracing.ts'
import { prepare } from './preparation.ts'
import { observeActive, RELOAD_SECONDS } from './signing/lifecycle.ts'

const RELOAD_MILLISECONDS = RELOAD_SECONDS * 1000

export type ServerOptions = {
  clock: Clock
  logger: Logger
  /** Told what the operator should know of the embedded database while it starts, a line at a time. */
  tell: (line: string) => void
  /** The database was put back from a backup: what was signed before is not taken any more. */
  afterRestore?: boolean
  /** Also check our own answers against openapi.yaml. */
  validateResponses: boolean
}

/** A server that listens, until `stop`. */
export type RunningServer = {
  /** Where it listens; clients use the issuer. */
  url: string
  port: number
  issuer: string
  /** The folder of the embedded database; undefined with `DATABASE_URL`. */
  dataDir: string | undefined
  /** undefined once administrators have deleted the account `operator`. */
  operatorKeyFile: OperatorKeyFile | undefined
  /** The link for the first administrator, once in the life of the installation; undefined ever after. */
  issueSetUpLink(): Promise<Invitation | undefined>
  /** Takes no more connections, answers what is under way, closes the database. The same when called again. */
  stop(): Promise<void>
}

/**
 * Starts everything between the configuration and the first request. No process-wide effects: several can run
 * in one process. Throws OperatorError for what the operator must mend, and then leaves nothing running.
 */
export async function startServer(
  config: Config,
  options: ServerOptions,
): Promise<RunningServer & { metrics: Metrics }> {
  const { clock, logger } = options
  await using starting = new AsyncDisposableStack()

  const prepared = await prepare(config, options)
  starting.defer(() => prepared.close())
  const { database, keyEncryptionKeys, keyRing, restorations } = prepared
  const { signingKeyRotationDays } = config
  starting.defer(
    startPartitionMaintenance(database.db, {
      clock,
      retention: retentionOf(config),
      onChange: (changes) => logger.info(changes, 'partitions changed'),
      onFailure: (error) =>
        logger.error({ err: messageOf(error) }, 'partitions not maintained; next try in a minute'),
    }),
  )
  starting.defer(
    await startSigningKeyMaintenance(
      { db: database.db, clock, keyEncryptionKeys, signingKeyRotationDays },
      {
        keyRing,
        onChange: (changes) => logger.info({ changes }, 'signing keys changed'),
        onFailure: (error) =>
          logger.error({ err: messageOf(error) }, 'signing keys not maintained; next try in a minute'),
      },
    ),
  )
  starting.defer(
    repeat(() => Promise.all([keyRing.reload(), restorations.reload()]), {
      firstMilliseconds: RELOAD_MILLISECONDS,
      everyMilliseconds: RELOAD_MILLISECONDS,
      retryMilliseconds: RELOAD_MILLISECONDS,
      onFailure: (error) =>
        logger.warn(
          { err: messageOf(error) },
          'signing keys and restorations not read; next try in a minute',
        ),
    }),
  )

  const metrics = createMetrics()
  metrics.watchPools(database.pools)
  metrics.watchSigningKeys(() => observeActive(keyRing.published(), clock.now(), signingKeyRotationDays))
  if (config.metricsPort !== undefined)
    starting.defer(await serveMetrics(() => metrics.registry.metrics(), config.host, config.metricsPort))

  const tracing = isTracingAsked()
    ? await startTracing({
        version: manifest.version,
        basePath: new URL(config.issuer).pathname.replace(/\/$/, ''),
      })
    : undefined
  if (tracing !== undefined) starting.defer(() => tracing.close().catch(() => undefined))

  let isDraining = false
  const app = createApp({
    issuer: config.issuer,
    trustedProxies: config.trustedProxies,
    clientCertificateHeader: config.clientCertificateHeader,
    connection: database,
    keyRing,
    keyEncryptionKeys,
    signingKeyRotationDays,
    clock,
    logger,
    metrics,
    ...(tracing && { traced: tracing.traced }),
    isDraining: () => isDraining,
    lastRestoration: restorations.last,
    atStop: (task) => starting.defer(task),
    tarpit: createTarpit(),
    refusalFloor: createRefusalFloor(),
    validateResponses: options.validateResponses,
  })
  const listener = await listen(tracing?.handle(app) ?? app, config)
  starting.defer(() => {
    isDraining = true
    return listener.drain()
  })

  const running = starting.move()
  let stopping: Promise<void> | undefined
  return {
    url: `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${listener.port}`,
    port: listener.port,
    issuer: config.issuer,
    dataDir: database.dataDir,
    operatorKeyFile: prepared.operatorKeyFile,
    metrics,
    issueSetUpLink: prepared.issueSetUpLink,
    stop: () => {
      stopping ??= running.disposeAsync()
      return stopping
    },
  }
}
