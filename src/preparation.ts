import type { Logger } from 'pino'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { type OpenDatabase, openDatabase, prepareSchema } from './database/open.ts'
import { preparePartitions } from './database/partitions.ts'
import { ensureInstallation } from './directory/installation.ts'
import type { Invitation } from './directory/invitations.ts'
import { createKeyPairGenerator, ONE_PAIR } from './directory/key-pair.ts'
import {
  createOperatorKeyFile,
  foreignFile,
  type OperatorKeyFile,
  readOperatorKeyFile,
} from './directory/operator-key-file.ts'
import { openRestorations, type Restorations, recordRestoration } from './directory/restoration.ts'
import type { DirectoryServices } from './directory/services.ts'
import { issueSetUpLink } from './directory/set-up.ts'
import { messageOf } from './errors.ts'
import type { KeyEncryptionKeys } from './signing/envelope.ts'
import { loadKeyEncryptionKeys } from './signing/key-encryption-keys.ts'
import { type KeyRing, openKeyRing, type PublishedKey } from './signing/key-ring.ts'

export type PreparationOptions = {
  clock: Clock
  logger: Logger
  /** Told what the operator should know of the embedded database while it starts, a line at a time. */
  tell: (line: string) => void
  /** The database was put back from a backup: what was signed before is not taken any more. */
  afterRestore?: boolean
}

/** A database with everything in it that every installation has, and the keys that open what is encrypted there. */
export type Prepared = {
  database: OpenDatabase
  keyEncryptionKeys: KeyEncryptionKeys
  keyRing: KeyRing
  restorations: Restorations
  /** undefined once administrators have deleted the account `operator`. */
  operatorKeyFile: OperatorKeyFile | undefined
  /** The link for the first administrator, once in the life of the installation; undefined ever after. */
  issueSetUpLink(): Promise<Invitation | undefined>
  /** Closes the database; stops it, when it is the embedded one. */
  close(): Promise<void>
}

/**
 * What is done once at a start, before anybody serves: database, schema, and what every installation has. Nodes that
 * start together do it under locks. Throws OperatorError for what the operator must mend, and then leaves nothing running.
 */
export async function prepare(config: Config, options: PreparationOptions): Promise<Prepared> {
  const { clock, logger } = options
  await using starting = new AsyncDisposableStack()
  const database = await openDatabase(config, {
    beside: false,
    tell: options.tell,
    onIdleError: (error) => logger.warn({ err: messageOf(error) }, 'a database connection was lost'),
  })
  starting.defer(() => database.close())
  await prepareSchema(database, config)
  await preparePartitions(database.db, clock.now())
  const keyEncryptionKeys = await loadKeyEncryptionKeys(config)
  // First of all: whoever has another key-encryption key must not add anything under it.
  const keyRing = await openKeyRing({
    db: database.db,
    keyEncryptionKeys,
    onChange: (keys) => describeKeys(logger, keys),
  })
  if (options.afterRestore) await recordRestoration(database.db, clock)
  const restorations = await openRestorations(database.db)
  const operatorKeyFile = await ensureOperator(config, { db: database.db, clock })
  const prepared = starting.move()
  return {
    database,
    keyEncryptionKeys,
    keyRing,
    restorations,
    operatorKeyFile,
    issueSetUpLink: () => issueSetUpLink({ db: database.db, clock, issuer: config.issuer }),
    close: () => prepared.disposeAsync(),
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

/** What this node knows now, and what it cannot use. */
function describeKeys(logger: Logger, keys: readonly PublishedKey[]): void {
  const byAlgorithm = (status: PublishedKey['status']) =>
    Object.fromEntries(
      keys.filter((key) => key.status === status).map(({ algorithm, id }) => [algorithm, id]),
    )
  logger.info({ active: byAlgorithm('active'), next: byAlgorithm('next') }, 'signing keys loaded')
  for (const { id, status, canSign } of keys) {
    if (canSign || status === 'retiring') continue
    logger.error({ id, status }, 'no key-encryption key of this node opens this signing key')
  }
}
