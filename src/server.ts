import type { Server } from 'node:http'
import type { Logger } from 'pino'
import { createApp } from './app.ts'
import { type Clock, repeat } from './clock.ts'
import type { Config } from './config.ts'
import { openDatabase, prepareSchema } from './database/open.ts'
import { startPartitionMaintenance } from './database/partition-maintenance.ts'
import { retentionOf } from './database/partitions.ts'
import { ensureInstallation } from './directory/installation.ts'
import { createKeyPairGenerator, ONE_PAIR } from './directory/key-pair.ts'
import {
  createOperatorKeyFile,
  foreignFile,
  type OperatorKeyFile,
  readOperatorKeyFile,
} from './directory/operator-key-file.ts'
import type { DirectoryServices } from './directory/services.ts'
import { maintainSigningKeys } from './directory/signing-keys.ts'
import { messageOf } from './errors.ts'
import { listen } from './http/listener.ts'
import { createMetrics, type Metrics, serveMetrics } from './observability/metrics.ts'
import { loadKeyEncryptionKeys } from './signing/key-encryption-keys.ts'
import { type KeyRing, openKeyRing, type PublishedKey } from './signing/key-ring.ts'
import { RELOAD_SECONDS } from './signing/lifecycle.ts'

export type ServerOptions = {
  clock: Clock
  logger: Logger
  /** Told what the operator should know of the embedded database while it starts, a line at a time. */
  tell: (line: string) => void
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
  /** Takes no more connections, answers what is under way, closes the database. The same when called again. */
  stop(): Promise<void>
}

/**
 * Starts everything between the configuration and the first request. No process-wide effects: several can run
 * in one process. Throws OperatorError for what the operator must mend, and then leaves nothing running.
 */
export async function startServer(config: Config, options: ServerOptions): Promise<RunningServer> {
  const { clock, logger } = options
  await using starting = new AsyncDisposableStack()

  const database = await openDatabase(config, {
    beside: false,
    tell: options.tell,
    onIdleError: (error) => logger.warn({ err: messageOf(error) }, 'a database connection was lost'),
  })
  starting.defer(() => database.close())
  await prepareSchema(database, config)
  starting.defer(
    await startPartitionMaintenance(database.db, {
      clock,
      retention: retentionOf(config),
      onChange: (changes) => logger.info(changes, 'partitions changed'),
      onFailure: (error) =>
        logger.error({ err: messageOf(error) }, 'partitions not maintained; next try in a minute'),
    }),
  )
  const keyEncryptionKeys = await loadKeyEncryptionKeys(config)
  const operatorKeyFile = await ensureOperator(config, { db: database.db, clock })
  const { signingKeyRotationDays } = config
  const { keyRing, stop } = await startSigning(options, {
    db: database.db,
    clock,
    keyEncryptionKeys,
    signingKeyRotationDays,
  })
  starting.defer(stop)

  const metrics = createMetrics()
  metrics.watchPool(database.pool)
  if (config.metricsPort !== undefined)
    starting.defer(await startMetrics(metrics, config.host, config.metricsPort))

  let isDraining = false
  const app = createApp({
    issuer: config.issuer,
    trustedProxies: config.trustedProxies,
    connection: database,
    keyRing,
    keyEncryptionKeys,
    signingKeyRotationDays,
    clock,
    logger,
    metrics,
    isDraining: () => isDraining,
    atStop: (task) => starting.defer(task),
    validateResponses: options.validateResponses,
  })
  const listener = await listen(app, config)
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
    operatorKeyFile,
    stop: () => {
      stopping ??= running.disposeAsync()
      return stopping
    },
  }
}

/**
 * What every installation has, and at the first start the operator's key file. In production no private key is
 * ever made on the server: there `countersign bootstrap --public-key` registers one that was made elsewhere.
 */
async function ensureOperator(
  config: Config,
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
): Promise<OperatorKeyFile | undefined> {
  const { issuer, keysDir } = config
  const { organization, account } = await ensureInstallation(db, { issuer, clock })
  if (account === undefined) return undefined
  const owner = { organization, account }
  const found = await readOperatorKeyFile({ db, keysDir }, owner)
  if (found.hasKeys || config.production) return found
  if (found.state === 'foreign') throw foreignFile(found.path)
  const services = { db, clock, issuer, keysDir, generateKeyPair: createKeyPairGenerator(ONE_PAIR) }
  return createOperatorKeyFile(services, owner, { evenIfItHasKeys: false })
}

const HOUR_MILLISECONDS = 3_600_000
const MINUTE_MILLISECONDS = 60_000

/** Makes and opens the server's own keys, keeps them in turn and this process informed of them, until `stop`. */
async function startSigning(
  { logger }: Pick<ServerOptions, 'logger'>,
  services: Parameters<typeof maintainSigningKeys>[0],
): Promise<{ keyRing: KeyRing; stop: () => Promise<void> }> {
  const maintain = async () => {
    for (const change of await maintainSigningKeys(services)) logger.info(change, 'signing key changed')
  }
  await maintain()
  const keyRing = await openKeyRing({ ...services, onChange: (keys) => describeKeys(logger, keys) })
  const stopReloading = repeat(() => keyRing.reload(), {
    firstMilliseconds: RELOAD_SECONDS * 1000,
    everyMilliseconds: RELOAD_SECONDS * 1000,
    retryMilliseconds: RELOAD_SECONDS * 1000,
    onFailure: (error) =>
      logger.warn({ err: messageOf(error) }, 'signing keys not read; next try in a minute'),
  })
  const stopMaintenance = repeat(maintain, {
    firstMilliseconds: HOUR_MILLISECONDS,
    everyMilliseconds: HOUR_MILLISECONDS,
    retryMilliseconds: MINUTE_MILLISECONDS,
    onFailure: (error) =>
      logger.error({ err: messageOf(error) }, 'signing keys not maintained; next try in a minute'),
  })
  return {
    keyRing,
    stop: async () => {
      await Promise.all([stopReloading(), stopMaintenance()])
    },
  }
}

function describeKeys(logger: Logger, keys: readonly PublishedKey[]): void {
  const byStatus = (status: PublishedKey['status']) =>
    keys.filter((key) => key.status === status).map((key) => key.id)
  logger.info(
    { active: byStatus('active'), next: byStatus('next'), retiring: byStatus('retiring') },
    'signing keys loaded',
  )
  for (const { id, status, canSign } of keys) {
    if (canSign || status === 'retiring') continue
    logger.error({ id, status }, 'no key-encryption key of this node opens this signing key')
  }
}

async function startMetrics(metrics: Metrics, host: string, port: number): Promise<() => Promise<void>> {
  const server: Server = await serveMetrics(metrics, { host, port })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}
