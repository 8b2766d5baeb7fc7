import { expect, test } from '@jest/globals'
import { createMetrics, type Metrics } from '../../src/observability/metrics.ts'
import { createWorkerMetrics } from '../../src/observability/worker-metrics.ts'

const TOKENS = 'countersign_requests_total{endpoint="token",status="200"}'

test('counters, histograms and connections are added up; of ages and delays the worst is shown', async () => {
  const workers = [createMetrics(), createMetrics()]
  workers.forEach((worker, index) => {
    for (let count = 0; count <= index; count++) worker.request('token', 200, 0.002)
    worker.watchSigningKeys(() => [
      { algorithm: 'ES256', ageSeconds: 100 + index, rotationInSeconds: 50 - index },
    ])
  })
  const text = await createWorkerMetrics().sum(await Promise.all(workers.map(count)))
  expect(readSample(text, TOKENS)).toBe(3)
  expect(readSample(text, 'countersign_request_seconds_bucket{le="0.0025",endpoint="token"}')).toBe(3)
  expect(readSample(text, 'countersign_signing_key_age_seconds{algorithm="ES256"}')).toBe(101)
  expect(readSample(text, 'countersign_signing_key_rotation_in_seconds{algorithm="ES256"}')).toBe(49)
  expect(text).toMatch(/^# TYPE countersign_refusals_total counter$/m)
  const delays = await Promise.all(workers.map(lagOf))
  expect(readSample(text, 'nodejs_eventloop_lag_p99_seconds')).toBe(Math.max(...delays))
})

test('what ended workers have counted stays in the sum, so no counter falls', async () => {
  const sums = createWorkerMetrics()
  const [first, second, third] = [createMetrics(), createMetrics(), createMetrics()]
  for (const worker of [first, second]) {
    sums.started()
    worker.request('token', 200, 0.002)
    sums.ended(await count(worker), worker === second)
  }
  sums.started()
  third.request('token', 200, 0.002)
  const text = await sums.sum([await count(third)])
  expect(readSample(text, TOKENS)).toBe(3)
  expect(readSample(text, 'countersign_request_seconds_count{endpoint="token"}')).toBe(3)
  expect(readSample(text, 'countersign_workers')).toBe(1)
  expect(readSample(text, 'countersign_workers_lost_total')).toBe(1)
  expect(readSample(text, 'nodejs_active_handles_total')).toBe(await handlesOf(third))
})

/** As a worker answers it: what has been counted goes from one process to another. */
async function count({ registry }: Metrics) {
  return structuredClone(await registry.getMetricsAsJSON())
}

async function lagOf({ registry }: Metrics): Promise<number> {
  return readSample(
    await registry.getSingleMetricAsString('nodejs_eventloop_lag_p99_seconds'),
    'nodejs_eventloop_lag_p99_seconds',
  )
}

async function handlesOf({ registry }: Metrics): Promise<number> {
  return readSample(
    await registry.getSingleMetricAsString('nodejs_active_handles_total'),
    'nodejs_active_handles_total',
  )
}

function readSample(text: string, sample: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? Number.NaN)
}
