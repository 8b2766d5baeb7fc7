import { chmod, mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type pg from 'pg'
import { createClient } from './client.ts'
import { startCountersign } from './countersign.ts'
import { connectToDatabase } from './footprint.ts'
import { median, quantile } from './measure.ts'
import { createMix } from './mix.ts'
import { holdRate, pushOn } from './pace.ts'
import { describeMachine, markdownTable, writeBetweenMarks } from './page.ts'
import { countDescriptors, privateMebibytesOfTree, residentMebibytes } from './processes.ts'
import { type Finding, judgeSoak, type Minute, type Reading, thirds } from './soak-verdict.ts'

/**
 * Holds a Countersign with its embedded PostgreSQL at a part of what it can do, for long, and judges whether anything
 * grows. Ends by itself and leaves nothing behind, also when it is interrupted.
 *
 *   npm run soak -- --minutes 45
 */
const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '45' },
    /** Of the capacity, which is measured first. */
    share: { type: 'string', default: '0.6' },
    port: { type: 'string', default: '18100' },
    /** Also writes what was found into docs/reliability.md. */
    page: { type: 'boolean', default: false },
  },
})

const PAGE = new URL('../docs/reliability.md', import.meta.url)
const CONNECTIONS = 32
const WARM_UP_SECONDS = 10
const CAPACITY_SECONDS = 20
const READING_SECONDS = 15
/** Each third has one. */
const MINUTES_AT_LEAST = 3

if (!(Number(flags.minutes) >= MINUTES_AT_LEAST)) throw new Error(`--minutes ${MINUTES_AT_LEAST} at least`)
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-soak-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)
const metricsPort = Number(flags.port) + 1
const countersign = await startCountersign(folder, Number(flags.port), undefined, {
  COUNTERSIGN_METRICS_PORT: String(metricsPort),
})
cleaning.defer(() => countersign.stop())
const database = await connectToDatabase(countersign)
cleaning.defer(() => database.end())
const mix = await createMix(countersign)
cleaning.defer(async () => void (await mix.stop()))
const client = createClient(countersign.port, CONNECTIONS)
cleaning.defer(() => client.close())

const capacity = await measureCapacity()
const perSecond = capacity * Number(flags.share)
console.log(
  `capacity ${capacity.toFixed(0)} requests a second; ${perSecond.toFixed(0)} for ${flags.minutes} minutes`,
)
const readings: Reading[] = []
const minutes: Minute[] = []
const load = soak()
await Promise.all([load, readOn(load)])
if (interrupted.signal.aborted) process.exitCode = 130
else await conclude()

async function conclude(): Promise<void> {
  const findings = judgeSoak(readings, minutes)
  const report = toReport(findings)
  console.log(`\n${report}`)
  if (flags.page) await writeBetweenMarks(PAGE, 'soak', report)
  if (findings.some(({ isMet }) => !isMet)) process.exitCode = 1
}

/** What callers who wait for each answer get out of it, on this machine, with the load generator beside it. */
async function measureCapacity(): Promise<number> {
  await pushOn({ client, next: mix.next, callers: CONNECTIONS, seconds: WARM_UP_SECONDS })
  const { latencies, failed, failures } = await pushOn({
    client,
    next: mix.next,
    callers: CONNECTIONS,
    seconds: CAPACITY_SECONDS,
  })
  if (failed > 0) throw new Error(`${failed} requests failed:\n${failures.join('\n')}`)
  return latencies.length / CAPACITY_SECONDS
}

async function soak(): Promise<void> {
  const { signal } = interrupted
  while (minutes.length < Number(flags.minutes) && !signal.aborted) {
    const { latencies, failed, failures } = await holdRate({
      client,
      next: mix.next,
      perSecond,
      seconds: 60,
      signal,
    })
    minutes.push({ latencies, failed })
    console.log(describeMinute({ latencies, failed }))
    for (const failure of failures) console.log(failure)
  }
}

async function readOn(load: Promise<void>): Promise<void> {
  const startedAt = performance.now()
  const isOver = load.then(() => true)
  for (;;) {
    if (await Promise.race([isOver, sleep(READING_SECONDS * 1000, false, { ref: false })])) return
    readings.push(await read((performance.now() - startedAt) / 60_000))
    // Every request leaves a line; the disk is not what this is about.
    await truncate(join(folder, 'countersign.log'))
  }
}

async function read(minute: number): Promise<Reading> {
  const heap = await readMetric('nodejs_heap_size_used_bytes')
  return {
    minute,
    serverMebibytes: residentMebibytes(countersign.pid),
    heapMebibytes: heap / 2 ** 20,
    databaseMebibytes: privateMebibytesOfTree(countersign.postmasterPid),
    descriptors: countDescriptors(countersign.pid),
    ...(await readDatabase(database)),
  }
}

async function readMetric(name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`, {
    headers: { connection: 'close' },
  })
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await response.text())?.[1])
}

async function readDatabase(client: pg.Client): Promise<Pick<Reading, 'connections' | 'recordsMebibytes'>> {
  const { rows } = await client.query(`
    select
      (select count(*) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid())::int as connections,
      (select sum(pg_total_relation_size(inhrelid))
        from pg_inherits where inhparent = 'grant_records'::regclass)::float8 / 1048576 as "recordsMebibytes"`)
  return rows[0]
}

function describeMinute({ latencies, failed }: Minute): string {
  const last = readings.at(-1)
  const sorted = latencies.toSorted((a, b) => a - b)
  return [
    `minute ${minutes.length}: ${latencies.length} answered, ${failed} failed`,
    `p50 ${quantile(sorted, 0.5).toFixed(2)} ms, p99 ${quantile(sorted, 0.99).toFixed(2)} ms`,
    `server ${last?.serverMebibytes.toFixed(0)} MiB, heap ${last?.heapMebibytes.toFixed(0)} MiB`,
    `PostgreSQL ${last?.databaseMebibytes.toFixed(0)} MiB, ${last?.connections} connections`,
    `${last?.descriptors} descriptors, records ${last?.recordsMebibytes.toFixed(0)} MiB`,
  ].join('; ')
}

function toReport(findings: readonly Finding[]): string {
  const requests = minutes.reduce((sum, { latencies, failed }) => sum + latencies.length + failed, 0)
  const introduction =
    `${describeMachine()}. Capacity with the load generator on the same machine: ${capacity.toFixed(0)} requests a second, a half of ` +
    `them tokens. ${minutes.length} minutes at ${perSecond.toFixed(0)} a second: ${requests.toLocaleString('en')} requests.`
  const verdicts = findings.map(({ what, found, bound, isMet }) => [
    what,
    found,
    bound,
    isMet ? 'met' : 'missed',
  ])
  return [
    introduction,
    markdownTable(['After the warm-up', 'found', 'bound', ''], verdicts),
    markdownTable(['Third', 'warm-up', 'middle', 'last'], listThirds()),
  ].join('\n\n')
}

function listThirds(): string[][] {
  const ofReadings = (name: string, pick: (reading: Reading) => number) => [
    name,
    ...thirds(readings).map((third) => median(third.map(pick)).toFixed(0)),
  ]
  const ofLatencies = (share: number) =>
    thirds(minutes).map((third) =>
      quantile(
        third.flatMap(({ latencies }) => [...latencies]).toSorted((a, b) => a - b),
        share,
      ).toFixed(2),
    )
  return [
    ofReadings('resident memory of the server, MiB', (reading) => reading.serverMebibytes),
    ofReadings('heap of the server, MiB', (reading) => reading.heapMebibytes),
    ofReadings('memory of PostgreSQL without shared buffers, MiB', (reading) => reading.databaseMebibytes),
    ofReadings('open files and sockets of the server', (reading) => reading.descriptors),
    ofReadings('connections to PostgreSQL', (reading) => reading.connections),
    ofReadings('grant records with indexes, MiB', (reading) => reading.recordsMebibytes),
    ['p50, ms', ...ofLatencies(0.5)],
    ['p99, ms', ...ofLatencies(0.99)],
    ['failed', ...thirds(minutes).map((third) => String(third.reduce((sum, { failed }) => sum + failed, 0)))],
  ]
}
