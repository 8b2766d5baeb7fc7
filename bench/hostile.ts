import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { prepareAssertions } from './assertions.ts'
import type { Attack, Progress } from './attacker.ts'
import { createClient } from './client.ts'
import { startCountersign } from './countersign.ts'
import { formRequest, tokenRequest } from './load.ts'
import { median, quantile } from './measure.ts'
import { createTokens } from './mix.ts'
import { holdRate } from './pace.ts'
import { describeMachine, writeBetweenMarks } from './page.ts'
import { cpuSecondsOf, cpuSecondsOfTree } from './processes.ts'

/**
 * What an honest client feels while others attack, and what each refused request costs. Attackers and client share one
 * address, one machine and its cores: the worst case. Every attack is measured between two quiet stretches.
 *
 *   npm run hostile
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    /** Of each stretch. */
    seconds: { type: 'string', default: '10' },
    port: { type: 'string', default: '18090' },
    connections: { type: 'string', default: '64' },
    idle: { type: 'string', default: '10000' },
    /** Only attacks whose names match. */
    only: { type: 'string', default: '' },
    /** Also writes the table into docs/reliability.md. */
    page: { type: 'boolean', default: false },
  },
})

type Line = {
  name: string
  ratio: number
  p99: number
  answersPerSecond: number
  microseconds: number
  open: number
}

const PAGE = new URL('../docs/reliability.md', import.meta.url)
/** Tokens of the honest client. */
const PER_SECOND = 40
/** Until a flood has used up what a network may have refused at once, and everybody is connected. */
const LEAD_MILLISECONDS = 3_000
/** Until the server lets go of those that came first, and others take their places. */
const IDLE_LEAD_MILLISECONDS = 25_000
/** Of the honest client. */
const HONEST_CONNECTIONS = 8
/** Networks that a flood of sign-ins comes from: more than can be throttled one by one while it is measured. */
const NETWORKS = 50_000

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-hostile-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
await chmod(folder, 0o755)
const countersign = await startCountersign(folder, Number(flags.port), undefined, {
  // Whoever says so comes from another network; whoever says nothing is all in one.
  COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
})
cleaning.defer(() => countersign.stop())
const honest = await createTokens(countersign, 'jwt')
cleaning.defer(async () => void (await honest.stop()))

const lines: Line[] = []
for (let round = 0; round <= Number(flags.rounds); round++) {
  for (const [name, attack] of await listAttacks()) {
    if (!new RegExp(flags.only).test(name)) continue
    const line = await measureAttack(name, attack)
    // Round 0 warms up.
    if (round > 0) lines.push(line)
  }
}
const table = toTable()
console.log(table)
if (flags.page) await writeBetweenMarks(PAGE, 'attacks', `${describeMachine()}.\n\n${table}`)

async function measureAttack(name: string, attack: Attack): Promise<Line> {
  const quiet = await beHonest()
  const attacker = new Worker(new URL('./attacker.ts', import.meta.url), { workerData: attack })
  let progress: Progress = { answers: 0, open: 0 }
  attacker.on('message', (message: Progress) => {
    progress = message
  })
  await sleep(attack.kind === 'idle' ? IDLE_LEAD_MILLISECONDS : LEAD_MILLISECONDS)
  const before = { answers: progress.answers, cpu: readCpu(), at: performance.now() }
  const disturbed = await beHonest()
  const seconds = (performance.now() - before.at) / 1000
  const answers = progress.answers - before.answers
  const cpu = readCpu() - before.cpu
  const { open } = progress
  await attacker.terminate()
  await sleep(500)
  const quietAgain = await beHonest()
  const undisturbed = median([quiet.p99, quietAgain.p99])
  return {
    name,
    ratio: disturbed.p99 / undisturbed,
    p99: disturbed.p99,
    answersPerSecond: answers / seconds,
    // What the honest client costs is in the quiet stretches as well.
    microseconds: answers === 0 ? Number.NaN : ((cpu - median([quiet.cpu, quietAgain.cpu])) / answers) * 1e6,
    open,
  }
}

/** Tokens at a steady rate, whether answers come or not, over connections of its own that are made meanwhile. */
async function beHonest(): Promise<{ p99: number; cpu: number }> {
  const before = readCpu()
  const client = createClient(countersign.port, HONEST_CONNECTIONS)
  try {
    const { latencies, failed, failures } = await holdRate({
      client,
      next: honest.ask,
      perSecond: PER_SECOND,
      seconds: Number(flags.seconds),
    })
    if (failed > 0) throw new Error(`${failed} requests failed:\n${failures.join('\n')}`)
    const sorted = latencies.toSorted((a, b) => a - b)
    return { p99: quantile(sorted, 0.99), cpu: readCpu() - before }
  } finally {
    client.close()
  }
}

async function listAttacks(): Promise<[string, Attack][]> {
  const [good = ''] = await prepareAssertions(countersign.subjects.jwt.source, 1)
  const [header, payload] = good.split('.')
  const { source } = countersign.subjects.jwt
  const [unknown = ''] = await prepareAssertions(
    { ...source, accountId: 'acc_unknown', keyId: 'key_unknown' },
    1,
  )
  const flood = (...requests: Buffer[]): Attack => ({
    kind: 'flood',
    port: countersign.port,
    connections: Number(flags.connections),
    requests: requests.map((request) => request.toString('latin1')),
  })
  const wrongSecret = { Authorization: 'Basic cnNfeDp4' }
  const fromEverywhere = Array.from({ length: NETWORKS }, (_, index) =>
    signInRequest(`nobody-${index}@example.com`, `X-Forwarded-For: 10.${index >> 8}.${index & 255}.1\r\n`),
  )
  return [
    ['assertions that cannot be read', flood(tokenRequest('x.y.z'))],
    ['assertions of unknown issuers', flood(tokenRequest(unknown))],
    ['assertions with wrong signatures', flood(tokenRequest(`${header}.${payload}.${'A'.repeat(342)}`))],
    ['introspection with wrong secrets', flood(formRequest('/oauth/introspect', 'token=x', wrongSecret))],
    ['sign-ins of one network, throttled', flood(signInRequest('nobody@example.com', ''))],
    ['sign-ins from ever new networks', flood(...fromEverywhere)],
    ['bodies of 1 MB', flood(formRequest('/oauth/token', `x=${'y'.repeat(1_000_000)}`))],
    ['requests that never end', { kind: 'slow', port: countersign.port, connections: 1_000 }],
    [
      `${flags.idle} idle connections`,
      { kind: 'idle', port: countersign.port, connections: Number(flags.idle) },
    ],
  ]
}

function signInRequest(email: string, headers: string): Buffer {
  const body = JSON.stringify({ email, password: 'a wrong password' })
  return Buffer.from(
    `POST /sign-in/password HTTP/1.1\r\nHost: localhost:${countersign.port}\r\nOrigin: ${countersign.issuer}\r\n` +
      `${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

/** CPU seconds of server and database. */
function readCpu(): number {
  return cpuSecondsOf(countersign.pid) + cpuSecondsOfTree(countersign.postmasterPid)
}

function toTable(): string {
  const rows = [...Map.groupBy(lines, ({ name }) => name)].map(([name, group]) => {
    const of = (pick: (line: Line) => number) => median(group.map(pick))
    const cost = of((line) => line.microseconds)
    return `| ${name} | ${of((line) => line.open).toFixed(0)} | ${of((line) => line.answersPerSecond).toFixed(0)} | ${Number.isNaN(cost) ? '' : cost.toFixed(0)} | ${of((line) => line.p99).toFixed(1)} | ${of((line) => line.ratio).toFixed(1)} |`
  })
  return [
    '| Attack | connections | answers/s | CPU µs each | honest p99, ms | against quiet |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
  ].join('\n')
}
