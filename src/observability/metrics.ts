import { createServer } from 'node:http'
import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Pool } from '../database/connect.ts'
import { OperatorError } from '../errors.ts'

/** What the metrics call the parts of the HTTP interface: a closed set, so that labels stay few. */
export type EndpointName =
  | 'token'
  | 'introspect'
  | 'revoke'
  | 'forward_auth'
  | 'discovery'
  | 'management'
  | 'sign_in'
  | 'console'
  | 'docs'
  | 'health'
  | 'other'

export type Metrics = {
  registry: Registry
  request(endpoint: EndpointName, status: number | 'aborted', seconds: number): void
  refusal(endpoint: EndpointName, reason: string): void
  /** A request was granted that did what will not be accepted for ever. */
  deprecation(what: string): void
  batch(
    name:
      | 'find_issuers'
      | 'record_grants'
      | 'find_tokens'
      | 'find_callers'
      | 'find_caller_keys'
      | 'find_answer_algorithms'
      | 'claim_account_jtis'
      | 'claim_caller_jtis'
      | 'find_memberships'
      | 'find_api_tokens'
      | 'claim_jtis',
    size: number,
  ): void
  /** Registers the gauges of the connection pools, all together. */
  watchPools(pools: readonly Pool[]): void
  /** Registers the gauges of the signing keys; `observe` answers those that sign now. */
  watchSigningKeys(observe: () => readonly SigningKeyObservation[]): void
}

/** An active signing key: since when it signs, and when another is to take its place; seconds. */
export type SigningKeyObservation = { algorithm: string; ageSeconds: number; rotationInSeconds: number }

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** The metrics of one process, on a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  // Event-loop delay, garbage collection, memory, handles.
  collectDefaultMetrics({ register: registry })
  showWorstWorker(registry, 'nodejs_eventloop_lag_p99_seconds')
  const requests = new Counter({
    name: 'countersign_requests_total',
    help: 'Answered requests by endpoint and status',
    labelNames: ['endpoint', 'status'],
    registers: [registry],
  })
  const refusals = new Counter({
    name: 'countersign_refusals_total',
    help: 'Refused requests by endpoint and exact reason',
    labelNames: ['endpoint', 'reason'],
    registers: [registry],
  })
  const deprecations = new Counter({
    name: 'countersign_deprecated_requests_total',
    help: 'Granted requests that relied on a deprecated escape, by its name',
    labelNames: ['what'],
    registers: [registry],
  })
  const latency = new Histogram({
    name: 'countersign_request_seconds',
    help: 'Time from the arrival of a request to its answer',
    labelNames: ['endpoint'],
    buckets: LATENCY_BUCKETS,
    registers: [registry],
  })
  const batches = new Histogram({
    name: 'countersign_batch_items',
    help: 'Requests that shared one database statement',
    labelNames: ['statement'],
    buckets: BATCH_BUCKETS,
    registers: [registry],
  })
  return {
    registry,
    request(endpoint, status, seconds) {
      requests.inc({ endpoint, status: String(status) })
      latency.observe({ endpoint }, seconds)
    },
    refusal: (endpoint, reason) => refusals.inc({ endpoint, reason }),
    deprecation: (what) => deprecations.inc({ what }),
    batch: (statement, size) => batches.observe({ statement }, size),
    watchPools: (pools) => watchPools(registry, pools),
    watchSigningKeys: (observe) => watchSigningKeys(registry, observe),
  }
}

function watchPools(registry: Registry, pools: readonly Pool[]): void {
  const sum = (count: (pool: Pool) => number) => pools.reduce((total, pool) => total + count(pool), 0)
  new Gauge({
    name: 'countersign_database_connections',
    help: 'Connections of the pools by state, and requests that wait for one',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      this.set(
        { state: 'idle' },
        sum((pool) => pool.idleCount),
      )
      this.set(
        { state: 'busy' },
        sum((pool) => pool.totalCount - pool.idleCount),
      )
      this.set(
        { state: 'waiting' },
        sum((pool) => pool.waitingCount),
      )
    },
  })
}

function watchSigningKeys(registry: Registry, observe: () => readonly SigningKeyObservation[]): void {
  new Gauge({
    name: 'countersign_signing_key_age_seconds',
    help: 'For how long the active signing key of an algorithm has been signing',
    labelNames: ['algorithm'],
    aggregator: 'max',
    registers: [registry],
    collect() {
      for (const { algorithm, ageSeconds } of observe()) this.set({ algorithm }, ageSeconds)
    },
  })
  new Gauge({
    name: 'countersign_signing_key_rotation_in_seconds',
    help: 'Time until the next signing key of an algorithm takes over; negative when that is overdue',
    labelNames: ['algorithm'],
    aggregator: 'min',
    registers: [registry],
    collect() {
      for (const { algorithm, rotationInSeconds } of observe()) this.set({ algorithm }, rotationInSeconds)
    },
  })
}

/** The average over workers, which is prom-client's own choice, hides the one that does not get through its work. */
function showWorstWorker(registry: Registry, name: string): void {
  const metric: object & { aggregator?: Aggregator } = registry.getSingleMetric(name) ?? {}
  metric.aggregator = 'max'
}

/**
 * Serves what `read` answers, in Prometheus' text format, on a listener of its own, so that the public port never
 * shows it. Answers the function that ends it. Throws OperatorError when the port is taken.
 */
export async function serveMetrics(
  read: () => Promise<string>,
  host: string,
  port: number,
): Promise<() => Promise<void>> {
  const server = createServer(async (req, res) => {
    if (req.method !== 'GET' || req.url !== '/metrics') {
      res.writeHead(404).end()
      return
    }
    res.writeHead(200, { 'Content-Type': Registry.PROMETHEUS_CONTENT_TYPE }).end(await read())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new OperatorError(`The metrics cannot be served on port ${port}: ${error.message}`, { cause: error }),
      )
    })
    server.listen(port, host, resolve)
  })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}
