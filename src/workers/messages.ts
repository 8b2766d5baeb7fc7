import type { Config } from '../config.ts'
import type { CountedMetrics } from '../observability/worker-metrics.ts'

/** What the primary process says to a worker. */
export type Order =
  /** The configuration comes by this way so that workers that are started later have the same one. */
  { kind: 'serve'; config: Config; validateResponses: boolean } | { kind: 'count' } | { kind: 'stop' }

/** What a worker says to the primary process. */
export type Report =
  | { kind: 'listening'; url: string; port: number }
  /** It cannot start; the message is for the operator. */
  | { kind: 'refused'; message: string }
  | { kind: 'counted'; metrics: CountedMetrics }
