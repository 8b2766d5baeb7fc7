import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { DatabaseHosts } from '../database-url.ts'
import { followWriter } from './follow-writer.ts'
import type { Database } from './tables.ts'

/** What the other layers call a database to read from; a `Trx` will do as well. */
export type Db = Kysely<Database>
/** A transaction under way: what a query asks for that must not stand alone. */
export type Trx = Transaction<Database>
/** Where the batched statements of the request path run. */
export type Pool = pg.Pool

/** How to reach PostgreSQL: a URL as in `DATABASE_URL`, of one server or several, or the socket of the embedded one. */
export type DatabaseAddress =
  | { hosts: DatabaseHosts }
  | { host: string; port: number; user: string; database: string }

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

/** How long, in milliseconds, what a request needs of the database may take, before that is an outage. */
type Patience = {
  /** For a connection. */
  connect: number
  /** No statement takes longer: PostgreSQL cancels it. */
  statement: number
  /** A silent network, or a PostgreSQL that stands still, is given up after that. */
  query: number
}

/**
 * A request waits for the batch that was under way as everything stopped, and then for its own: it is answered 503
 * within 15 seconds. A statement may take longer than a change that stands still may hold what tokens need (below).
 */
const PATIENCE_OF_BATCHES: Patience = { connect: 3_000, statement: 6_000, query: 7_000 }
const PATIENCE: Patience = { connect: 5_000, statement: 10_000, query: 15_000 }
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
const BATCH_SETTINGS = `
  set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off;
  set enable_mergejoin = off`

/** Opens the pools. Does not connect yet: the first query does, and says what is wrong. */
export function connectDatabase(address: DatabaseAddress, options: PoolOptions): DatabaseConnection {
  // Batches take one connection for each kind of statement at most, and most of the time one or two.
  const forBatches = Math.max(1, Math.floor(options.maxConnections / 2))
  // One notion of where the writer is, for both.
  const target: pg.PoolConfig = 'hosts' in address ? followWriter(withSessionOptions(address.hosts)) : address
  const batched = {
    ...target,
    onConnect: async (client: pg.ClientBase) => {
      await target.onConnect?.(client)
      await client.query(BATCH_SETTINGS)
    },
  }
  const pool = openPool(batched, forBatches, PATIENCE_OF_BATCHES, options)
  const others = openPool(target, Math.max(1, options.maxConnections - forBatches), PATIENCE, options)
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: others }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  })
  const close = async () => void (await Promise.all([pool.end(), db.destroy()]))
  return { db, pool, pools: [pool, others], close }
}

function openPool(target: pg.PoolConfig, max: number, patience: Patience, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    ...target,
    application_name: 'countersign',
    max,
    connectionTimeoutMillis: patience.connect,
    statement_timeout: patience.statement,
    query_timeout: patience.query,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MILLISECONDS,
    keepAlive: true,
    options: SESSION_OPTIONS,
  })
  pool.on('error', options.onIdleError)
  // Kysely listens to nothing while it has a connection: one that breaks then would end the process. The query
  // under way, or the next one, is told by its rejection.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** A URL that brings options of its own would replace ours. Of two settings of one name the last one holds. */
function withSessionOptions({ urls, mustWrite }: DatabaseHosts): DatabaseHosts {
  const extend = (text: string) => {
    const url = new URL(text)
    const asked = url.searchParams.get('options')
    if (asked === null) return text
    url.searchParams.set('options', `${asked} ${SESSION_OPTIONS}`)
    return url.href
  }
  return { urls: urls.map(extend), mustWrite }
}
