import {
  AggregatorRegistry,
  Counter,
  Gauge,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'

/** What a worker has counted, as it travels to the primary process. */
export type CountedMetrics = MetricObjectWithValues<MetricValue<string>>[]

/** The sum over the workers of a server, of those that run and those that ran. */
export type WorkerMetrics = {
  /** A worker began to serve. */
  started(): void
  /** A worker is gone, unasked or not; `last` is what was last heard of it. Its counts stay in the sum. */
  ended(last: CountedMetrics | undefined, wasAsked: boolean): void
  /** The sum with what those that run have counted, in Prometheus' text format. */
  sum(counted: readonly CountedMetrics[]): Promise<string>
}

/**
 * Adds up what workers count: counters and histograms as sums, gauges by the aggregator that each one names. What ended
 * workers had counted is kept: a counter that fell would look like a restart of the server, and rates would leap.
 */
export function createWorkerMetrics(): WorkerMetrics {
  const own = new Registry()
  const running = new Gauge({
    name: 'countersign_workers',
    help: 'Worker processes that serve',
    registers: [own],
  })
  const lost = new Counter({
    name: 'countersign_workers_lost_total',
    help: 'Worker processes that ended without being told to',
    registers: [own],
  })
  let former: CountedMetrics = []
  // One after the other: each works with the sum that the one before has left.
  let keeping: Promise<void> = Promise.resolve()
  return {
    started: () => running.inc(),
    ended(last, wasAsked) {
      running.dec()
      if (!wasAsked) lost.inc()
      if (last === undefined) return
      keeping = keeping.then(async () => {
        former = await AggregatorRegistry.aggregate([former, last.filter(isCumulative)]).getMetricsAsJSON()
      })
    },
    async sum(counted) {
      await keeping
      return AggregatorRegistry.aggregate([await own.getMetricsAsJSON(), ...counted, former]).metrics()
    },
  }
}

/** In JSON the type is its name, whatever the declaration says. */
function isCumulative({ type }: { type: unknown }): boolean {
  return type === 'counter' || type === 'histogram'
}
