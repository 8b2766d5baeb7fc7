import type { Config } from '../config.ts'
import { type DatabaseHosts, parseDatabaseUrl } from '../database-url.ts'
import { codeOf, messageOf, OperatorError } from '../errors.ts'
import { connectDatabase, type DatabaseConnection } from './connect.ts'
import { type EmbeddedPostgres, startEmbedded } from './embedded.ts'
import { assertNotNewer, migrate, readSchemaState } from './migrate.ts'

/** A database that answers. */
export type OpenDatabase = DatabaseConnection & {
  /** How other processes reach it, in the form of `DATABASE_URL`. */
  url: string
  /** Where its data is, when it is the embedded one. */
  dataDir: string | undefined
  /** Whether it is the embedded one of this process, and nobody else's. */
  isOurs: boolean
}

export type OpenOptions = {
  /** Whether a server may be running on the embedded database already; for commands that work beside it. */
  beside: boolean
  /** Told of connections that break while idle; the pool replaces them by itself. */
  onIdleError: (error: Error) => void
  /** Told what the operator should know of the embedded database, a line at a time. */
  tell: (line: string) => void
}

/**
 * Opens the database of the configuration: starts the embedded one, or reaches for `DATABASE_URL`. Closing
 * stops what was started. Throws OperatorError that says where it was looked for and what to check.
 */
export async function openDatabase(
  config: Pick<Config, 'database' | 'databasePoolSize'>,
  options: OpenOptions,
): Promise<OpenDatabase> {
  const pool = { maxConnections: config.databasePoolSize, onIdleError: options.onIdleError }
  if (config.database.kind === 'external') {
    const hosts = parseDatabaseUrl(config.database.url)
    const connection = connectDatabase({ hosts }, pool)
    await assertReachable(connection, hosts)
    return { ...connection, url: config.database.url, dataDir: undefined, isOurs: false }
  }
  const { beside, tell: log } = options
  const embedded = await startEmbedded({ dataDir: config.database.dataDir, beside, log })
  const connection = connectDatabase(embedded.connection, pool)
  const { dataDir, served } = embedded
  const url = toUrl(embedded.connection)
  return { ...connection, url, dataDir, isOurs: !served, close: () => closeBoth(connection, embedded) }
}

/**
 * Brings the schema to where the code needs it: always in an embedded database that is ours alone, elsewhere only
 * when told to, since the upgrade of a shared database is the operator's decision. Answers the names of what was
 * applied.
 * Throws OperatorError for pending migrations that may not be applied, and for a schema newer than the code.
 */
export async function prepareSchema(
  { db, isOurs }: Pick<OpenDatabase, 'db' | 'isOurs'>,
  config: Pick<Config, 'migrate'>,
): Promise<string[]> {
  if (config.migrate || isOurs) return migrate(db)
  const state = await readSchemaState(db)
  assertNotNewer(state)
  if (state.pending.length === 0) return []
  throw new OperatorError(
    `The database lacks ${state.pending.length === 1 ? 'a migration' : `${state.pending.length} migrations`} ` +
      `(${state.pending.join(', ')}). Run countersign migrate, or set COUNTERSIGN_MIGRATE=true.`,
  )
}

/** Its host is the folder of its socket, which has no place in the authority of a URL. */
function toUrl({ host, port, user, database }: EmbeddedPostgres['connection']): string {
  return `postgresql:///${database}?${new URLSearchParams({ host, port: String(port), user })}`
}

async function closeBoth(connection: DatabaseConnection, embedded: EmbeddedPostgres): Promise<void> {
  await connection.close()
  await embedded.stop()
}

/** Each attempt reaches for the next host: one that is down, or a standby, does not keep us from starting. */
async function assertReachable(connection: DatabaseConnection, { urls }: DatabaseHosts): Promise<void> {
  let fault: unknown
  for (const _ of urls) {
    try {
      await connection.pool.query('select 1')
      return
    } catch (error) {
      fault = error
    }
  }
  await connection.close()
  throw new OperatorError(explain(fault, urls.map(describeAddress).join(' or ')), { cause: fault })
}

/** SQLSTATE classes of a server that answered and refused: 28 authorization, 3D no such database. */
const REFUSED_BY_SERVER = /^(28|3D)/

/** Neither the URL nor its password is repeated. */
function explain(error: unknown, address: string): string {
  const reason = reasonOf(error)
  if (REFUSED_BY_SERVER.test(codeOf(error) ?? '')) {
    return `PostgreSQL at ${address} refuses the connection (${reason}). Check user, password and database name in DATABASE_URL.`
  }
  return `Cannot reach PostgreSQL at ${address} (${reason}). Check DATABASE_URL, and that the server runs and can be reached from here.`
}

/** Node tries every address of a name and reports them together, without a message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return messageOf(error) || (codeOf(error) ?? 'no reason given')
}

function describeAddress(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null) return 'the address in DATABASE_URL'
  const socket = parsed.searchParams.get('host')
  if (socket !== null) return socket
  return `${parsed.hostname === '' ? 'localhost' : decodeURIComponent(parsed.hostname)}:${parsed.port === '' ? '5432' : parsed.port}`
}
