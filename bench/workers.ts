import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareAssertions } from './assertions.ts'
import { type Countersign, startCountersign } from './countersign.ts'
import { applyLoad, grantForm, tokenRequest } from './load.ts'
import { median, quantile } from './measure.ts'
import { describeMachine, markdownTable, writeBetweenMarks } from './page.ts'
import { cpuSecondsOf, cpuSecondsOfTree } from './processes.ts'
import { introspections, requestToken } from './scenarios.ts'

/**
 * One worker against several: two servers, each with an embedded PostgreSQL of its own, are given the same load in turn,
 * round by round. Load generator and PostgreSQL share the machine with them.
 *
 *   npm run bench:workers -- --workers 2
 */
const { values: flags } = parseArgs({
  options: {
    workers: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    /** Of each kind of work, in each round, to each server. */
    requests: { type: 'string', default: '3000' },
    connections: { type: 'string', default: '8,32,128' },
    port: { type: 'string', default: '18150' },
    /** Also writes the table into docs/performance.md. */
    page: { type: 'boolean', default: false },
  },
})

type Side = { workers: string; server: Countersign }

type Sample = {
  round: number
  work: string
  connections: number
  workers: string
  perSecond: number
  p50: number
  p99: number
  /** CPU microseconds of a request. */
  server: number
  database: number
}

const PAGE = new URL('../docs/performance.md', import.meta.url)
const INTROSPECTED_TOKENS = 200

/** Each makes the requests of one slot, and says what every answer must hold. */
const WORKS = {
  token: { prepare: prepareTokenRequests, expected: '"access_token"' },
  introspection: { prepare: prepareIntrospections, expected: '"active":true' },
}

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-workers-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)
const sides = [await startSide('1', 0), await startSide(flags.workers, 1)]

const samples: Sample[] = []
for (let round = 0; round <= Number(flags.rounds); round++) {
  for (const connections of flags.connections.split(',').map(Number)) {
    for (const work of ['token', 'introspection'] as const) {
      // Who comes first changes, so that neither always follows the other's work.
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        const sample = await measure(side, { work, connections, round })
        // Round 0 warms up.
        if (round > 0) samples.push(sample)
      }
    }
  }
  console.log(round === 0 ? 'warmed up' : `round ${round} of ${flags.rounds}`)
}
const table = toTable()
console.log(table)
if (flags.page) {
  const how = `${flags.rounds} rounds of ${flags.requests} requests; PostgreSQL and the load generator on the same cores.`
  await writeBetweenMarks(PAGE, 'workers', `${describeMachine()}. ${how}\n\n${table}`)
}

async function startSide(workers: string, index: number): Promise<Side> {
  const home = join(folder, String(index))
  await mkdir(home)
  const server = await startCountersign(home, Number(flags.port) + index, undefined, {
    COUNTERSIGN_WORKERS: workers,
  })
  cleaning.defer(() => server.stop())
  return { workers, server }
}

async function measure(
  { workers, server }: Side,
  slot: { work: keyof typeof WORKS; connections: number; round: number },
): Promise<Sample> {
  const { prepare, expected } = WORKS[slot.work]
  const requests = await prepare(server, Number(flags.requests))
  const before = readCpu(server)
  const load = await applyLoad({ port: server.port, requests, connections: slot.connections, expected })
  const after = readCpu(server)
  const latencies = load.latencies.toSorted()
  return {
    ...slot,
    workers,
    perSecond: requests.length / load.seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    server: ((after.server - before.server) / requests.length) * 1e6,
    database: ((after.database - before.database) / requests.length) * 1e6,
  }
}

/** CPU seconds. The postmaster is a child of the server, as workers are. */
function readCpu({ pid, postmasterPid }: Countersign): { server: number; database: number } {
  return {
    server: cpuSecondsOfTree(pid) - cpuSecondsOf(postmasterPid),
    database: cpuSecondsOfTree(postmasterPid),
  }
}

async function prepareTokenRequests({ subjects }: Countersign, count: number): Promise<Buffer[]> {
  const assertions = await prepareAssertions(subjects.jwt.source, count)
  return assertions.map((assertion) => tokenRequest(assertion))
}

async function prepareIntrospections(server: Countersign, count: number): Promise<Buffer[]> {
  const assertions = await prepareAssertions(server.subjects.opaque.source, INTROSPECTED_TOKENS)
  const url = `${server.issuer}/oauth/token`
  const tokens = await Promise.all(assertions.map((assertion) => requestToken(url, grantForm(assertion))))
  return introspections(count, '/oauth/introspect', server.introspectors.opaque, tokens)
}

function toTable(): string {
  const groups = Map.groupBy(samples, ({ work, connections, workers }) => `${work} ${connections} ${workers}`)
  const rows = [...groups.values()].map((group) => {
    const [{ work = '', connections = 0, workers = '' } = {}] = group
    const of = (pick: (sample: Sample) => number, digits: number) => median(group.map(pick)).toFixed(digits)
    return [
      work,
      String(connections),
      workers,
      of((each) => each.perSecond, 0),
      of((each) => each.p50, 1),
      of((each) => each.p99, 1),
      of((each) => each.server, 0),
      of((each) => each.database, 0),
      workers === '1' ? '' : describeRatio(group),
    ]
  })
  return markdownTable(
    ['work', 'conn', 'workers', 'req/s', 'p50 ms', 'p99 ms', 'server µs', 'PostgreSQL µs', 'against one'],
    rows.toSorted(byFirstThree),
  )
}

/** Of throughput, within a round, where both met the same machine; the median, the lowest and the highest. */
function describeRatio(group: readonly Sample[]): string {
  const ratios = group.flatMap((sample) => {
    const one = samples.find(
      ({ workers, round, work, connections }) =>
        workers === '1' &&
        round === sample.round &&
        work === sample.work &&
        connections === sample.connections,
    )
    return one === undefined ? [] : [sample.perSecond / one.perSecond]
  })
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`
}

function byFirstThree(one: readonly string[], other: readonly string[]): number {
  return (
    (other[0] ?? '').localeCompare(one[0] ?? '') ||
    Number(one[1]) - Number(other[1]) ||
    Number(one[2]) - Number(other[2])
  )
}
