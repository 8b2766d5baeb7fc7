import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Database } from './tables.ts'

/** What the other layers call a database to read from; a `Trx` will do as well. */
export type Db = Kysely<Database>
/** A transaction under way: what a query asks for that must not stand alone. */
export type Trx = Transaction<Database>
/** Where the batched statements of the request path run. */
export type Pool = pg.Pool

/** How to reach PostgreSQL: a URL as in `DATABASE_URL`, or the socket of the embedded server. */
export type DatabaseAddress = { url: string } | { host: string; port: number; user: string; database: string }

/**
 * Two pools: prepared statements of the hot paths go through `pool`, all other queries through `db`. So whoever
 * searches a long trail or changes much at once, be it ten times at a time, takes no connection that tokens need
 * (docs/decisions/0027-two-pools.md).
 */
export type DatabaseConnection = {
  db: Kysely<Database>
  pool: pg.Pool
  /** Both, to be watched. */
  pools: readonly pg.Pool[]
  /** Waits for queries under way, then closes every connection. */
  close(): Promise<void>
}

export type PoolOptions = {
  /** Of both pools together. */
  maxConnections: number
  /** Told of connections that break while idle; the pool replaces them by itself. */
  onIdleError: (error: Error) => void
}

/** Waiting longer than this for a connection is an outage, not patience. */
const CONNECT_TIMEOUT_MILLISECONDS = 5_000
/** No statement of a request may take longer; the server cancels it, and a silent network gives up after that. */
const STATEMENT_TIMEOUT_MILLISECONDS = 10_000
const QUERY_TIMEOUT_MILLISECONDS = 15_000
/**
 * A change says its next word at once. A node that stands still in the middle of one may hold the lock that
 * every token needs (database/transaction.ts): the server ends that change.
 */
const IDLE_IN_TRANSACTION_TIMEOUT_MILLISECONDS = 5_000
/**
 * What we rely on, whatever the database's or the role's own defaults are. Batched statements are short:
 * compiling them would take longer than running them. Under any other isolation `record_grants` would not see
 * a revocation that it waited for. Dates are read in one form only. A commit that is answered is on disk (promise 3).
 */
const SESSION_OPTIONS =
  '-c jit=off -c default_transaction_isolation=read\\ committed -c datestyle=ISO -c synchronous_commit=on'
/**
 * A batched statement looks a few rows up by their keys, in tables of any size: each by an index, in the order of the
 * look-ups, is the one plan that stays right. The planner may not choose another because a table is small or
 * was never analyzed, since that plan would be kept while the table grows (docs/decisions/0029-one-plan.md). It is
 * made once for each connection: making it takes ten times as long as running it.
 */
const BATCH_OPTIONS =
  '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off'

/** Opens the pools. Does not connect yet: the first query does, and says what is wrong. */
export function connectDatabase(address: DatabaseAddress, options: PoolOptions): DatabaseConnection {
  // Batches take one connection for each kind of statement at most, and most of the time one or two.
  const forBatches = Math.max(1, Math.floor(options.maxConnections / 2))
  const pool = openPool(address, forBatches, `${SESSION_OPTIONS} ${BATCH_OPTIONS}`, options)
  const others = openPool(address, Math.max(1, options.maxConnections - forBatches), SESSION_OPTIONS, options)
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: others }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  })
  const close = async () => void (await Promise.all([pool.end(), db.destroy()]))
  return { db, pool, pools: [pool, others], close }
}

function openPool(
  address: DatabaseAddress,
  max: number,
  sessionOptions: string,
  options: PoolOptions,
): pg.Pool {
  const pool = new pg.Pool({
    ...('url' in address ? { connectionString: withSessionOptions(address.url) } : address),
    application_name: 'countersign',
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MILLISECONDS,
    statement_timeout: STATEMENT_TIMEOUT_MILLISECONDS,
    query_timeout: QUERY_TIMEOUT_MILLISECONDS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MILLISECONDS,
    keepAlive: true,
    options: sessionOptions,
  })
  pool.on('error', options.onIdleError)
  // Kysely listens to nothing while it has a connection: one that breaks then would end the process. The query
  // under way, or the next one, is told by its rejection.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** A URL that brings options of its own would replace ours. Of two settings of one name the last one holds. */
function withSessionOptions(url: string): string {
  const parsed = URL.parse(url)
  const asked = parsed?.searchParams.get('options')
  if (parsed === null || typeof asked !== 'string') return url
  parsed.searchParams.set('options', `${asked} ${SESSION_OPTIONS}`)
  return parsed.href
}
