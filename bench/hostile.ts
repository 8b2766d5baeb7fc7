import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { prepareAssertions } from './assertions.ts'
import type { Attack, Progress } from './attacker.ts'
import { startCountersign } from './countersign.ts'
import { applyLoad, formRequest } from './load.ts'
import { median, quantile } from './measure.ts'
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
    /** Tokens that the honest client gets in each stretch, one every 25 ms. */
    requests: { type: 'string', default: '200' },
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
  round: number
  ratio: number
  p99: number
  answersPerSecond: number
  microseconds: number
  open: number
}

const PAGE = new URL('../docs/reliability.md', import.meta.url)
const PACE_MILLISECONDS = 25
/** Until a flood has used up what a network may have refused at once, and everybody is connected. */
const LEAD_MILLISECONDS = 3_000
const JWT_BEARER = encodeURIComponent('urn:ietf:params:oauth:grant-type:jwt-bearer')

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-hostile-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
await chmod(folder, 0o755)
const countersign = await startCountersign(folder, Number(flags.port), undefined)
cleaning.defer(() => countersign.stop())

const lines: Line[] = []
for (let round = 0; round <= Number(flags.rounds); round++) {
  for (const [name, attack] of await listAttacks()) {
    if (!new RegExp(flags.only).test(name)) continue
    const line = await measureAttack(name, attack, round)
    // Round 0 warms up.
    if (round > 0) lines.push(line)
  }
}
const table = toTable()
console.log(table)
if (flags.page) await writeBetweenMarks(PAGE, 'attacks', `${describeMachine()}.\n\n${table}`)

async function measureAttack(name: string, attack: Attack, round: number): Promise<Line> {
  const quiet = await beHonest()
  const attacker = new Worker(new URL('./attacker.ts', import.meta.url), { workerData: attack })
  let progress: Progress = { answers: 0, open: 0 }
  attacker.on('message', (message: Progress) => {
    progress = message
  })
  await sleep(LEAD_MILLISECONDS)
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
    round,
    ratio: disturbed.p99 / undisturbed,
    p99: disturbed.p99,
    answersPerSecond: answers / seconds,
    // What the honest client costs is in the quiet stretches as well.
    microseconds: answers === 0 ? Number.NaN : ((cpu - median([quiet.cpu, quietAgain.cpu])) / answers) * 1e6,
    open,
  }
}

/** One token after the other, at a pace. */
async function beHonest(): Promise<{ p99: number; cpu: number }> {
  const assertions = await prepareAssertions(countersign.subjects.jwt.source, Number(flags.requests))
  const before = readCpu()
  const latencies: number[] = []
  for (const assertion of assertions) {
    const requests = [formRequest('/oauth/token', `grant_type=${JWT_BEARER}&assertion=${assertion}`)]
    const result = await applyLoad({
      port: countersign.port,
      requests,
      connections: 1,
      expected: '"access_token"',
    })
    latencies.push(result.latencies[0] ?? Number.NaN)
    await sleep(PACE_MILLISECONDS)
  }
  return {
    p99: quantile(
      latencies.toSorted((a, b) => a - b),
      0.99,
    ),
    cpu: readCpu() - before,
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
  const flood = (path: string, form: string, headers?: Record<string, string>): Attack => ({
    kind: 'flood',
    port: countersign.port,
    connections: Number(flags.connections),
    requests: [formRequest(path, form, headers).toString('latin1')],
  })
  const grant = (assertion: string) =>
    flood('/oauth/token', `grant_type=${JWT_BEARER}&assertion=${assertion}`)
  const signIn = JSON.stringify({ email: 'nobody@example.com', password: 'a wrong password' })
  return [
    ['assertions that cannot be read', grant('x.y.z')],
    ['assertions of unknown issuers', grant(unknown)],
    ['assertions with wrong signatures', grant(`${header}.${payload}.${'A'.repeat(342)}`)],
    [
      'introspection with wrong secrets',
      flood('/oauth/introspect', 'token=x', { Authorization: 'Basic cnNfeDp4' }),
    ],
    [
      'sign-ins with wrong passwords',
      {
        kind: 'flood',
        port: countersign.port,
        connections: Number(flags.connections),
        requests: [
          `POST /sign-in/password HTTP/1.1\r\nHost: localhost:${countersign.port}\r\nOrigin: ${countersign.issuer}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${signIn.length}\r\n\r\n${signIn}`,
        ],
      },
    ],
    ['bodies of 1 MB', flood('/oauth/token', `x=${'y'.repeat(1_000_000)}`)],
    ['requests that never end', { kind: 'slow', port: countersign.port, connections: 1_000 }],
    [
      `${flags.idle} idle connections`,
      { kind: 'idle', port: countersign.port, connections: Number(flags.idle) },
    ],
  ]
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
