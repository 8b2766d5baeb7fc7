import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from './client.ts'
import { Failure, startCountersign } from './countersign.ts'
import { median, quantile } from './measure.ts'
import { createTokens } from './mix.ts'
import { holdRate } from './pace.ts'
import { describeMachine, markdownTable, writeBetweenMarks } from './page.ts'

/**
 * What callers of the token endpoint feel while key pairs are made: stretches in which twenty callers ask for RSA pairs of
 * 4096 bits without a pause, between stretches without any. Both at the same steady rate of tokens.
 *
 *   npm run bench:keys
 */
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** Of each stretch. */
    seconds: { type: 'string', default: '30' },
    /** Tokens a second. */
    rate: { type: 'string', default: '100' },
    port: { type: 'string', default: '18140' },
    /** Also writes the table into docs/performance.md. */
    page: { type: 'boolean', default: false },
  },
})

type Round = {
  calm: number
  disturbed: number
  calmP50: number
  disturbedP50: number
  made: number
  refused: number
}

const PAGE = new URL('../docs/performance.md', import.meta.url)
const ASKING = 20
/** Each may have three pairs in the making, so they fill the queue of the server together. */
const ORGANIZATIONS = 10
const CONNECTIONS = 32
/** What the server asks for with its 429. */
const RETRY_AFTER_MILLISECONDS = 5_000
const GOAL = 2

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)
const countersign = await startCountersign(folder, Number(flags.port), undefined)
cleaning.defer(() => countersign.stop())
const tokens = await createTokens(countersign, 'jwt')
cleaning.defer(async () => void (await tokens.stop()))
const client = createClient(countersign.port, CONNECTIONS)
cleaning.defer(() => client.close())
const places = await Promise.all(Array.from({ length: ORGANIZATIONS }, (_, index) => createPlace(index)))

const rounds: Round[] = []
let before = await measureTokens()
for (let round = 0; round <= Number(flags.rounds); round++) {
  const askers = startAsking()
  const disturbed = await measureTokens()
  const { made, refused } = await askers.stop()
  const after = await measureTokens()
  // Round 0 warms up.
  if (round > 0) {
    rounds.push({
      calm: median([before.p99, after.p99]),
      calmP50: median([before.p50, after.p50]),
      disturbed: disturbed.p99,
      disturbedP50: disturbed.p50,
      made,
      refused,
    })
    console.log(describeRound(rounds.at(-1) as Round))
  }
  before = after
}
const report = toReport()
console.log(`\n${report}`)
if (flags.page) await writeBetweenMarks(PAGE, 'key pairs', report)
if (median(rounds.map(ratioOf)) > GOAL) process.exitCode = 1

/** An organization with accounts that keys are made for; answers the path of their keys. */
async function createPlace(index: number): Promise<string> {
  const { api } = countersign
  const organization = await api('POST', '/organizations', { slug: `keys-${index}`, name: `Keys ${index}` })
  const account = await api('POST', `/organizations/${organization.id}/service-accounts`, { name: 'Keys' })
  return `/organizations/${organization.id}/service-accounts/${account.id}/keys`
}

async function measureTokens(): Promise<{ p50: number; p99: number }> {
  const { latencies, failed, failures } = await holdRate({
    client,
    next: tokens.ask,
    perSecond: Number(flags.rate),
    seconds: Number(flags.seconds),
  })
  if (failed > 0) throw new Error(`${failed} requests failed:\n${failures.join('\n')}`)
  const sorted = latencies.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

/** Twenty callers ask for one pair after the other. Stopping waits for those that were begun, so that a calm is one. */
function startAsking() {
  const found = { made: 0, refused: 0 }
  let isOver = false
  const ask = async (path: string) => {
    while (!isOver) {
      try {
        const { key } = await countersign.api('POST', path, { type: 'rsa', modulus_length: 4096 })
        found.made++
        await countersign.api('DELETE', `${path}/${key.id}`)
      } catch (error) {
        if (!(error instanceof Failure) || error.status !== 429) throw error
        found.refused++
        await sleep(RETRY_AFTER_MILLISECONDS)
      }
    }
  }
  const asking = Promise.all(
    Array.from({ length: ASKING }, (_, index) => ask(places[index % ORGANIZATIONS] as string)),
  )
  return {
    async stop() {
      const duringStretch = { ...found }
      isOver = true
      await asking
      return duringStretch
    },
  }
}

function ratioOf({ calm, disturbed }: Round): number {
  return disturbed / calm
}

function describeRound(round: Round): string {
  const { calm, disturbed, calmP50, disturbedP50, made, refused } = round
  return (
    `calm p50 ${calmP50.toFixed(2)}, p99 ${calm.toFixed(2)} ms; disturbed p50 ${disturbedP50.toFixed(2)}, p99 ${disturbed.toFixed(2)} ms: ` +
    `${ratioOf(round).toFixed(2)} ×; ${made} pairs, ${refused} refused`
  )
}

function toReport(): string {
  const line = (name: string, pick: (round: Round) => number, digits: number) => {
    const values = rounds.map(pick)
    return [
      name,
      median(values).toFixed(digits),
      `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`,
    ]
  }
  const ratio = median(rounds.map(ratioOf))
  return [
    `${describeMachine()}. ${flags.rounds} rounds, stretches of ${flags.seconds} s with ${flags.rate} tokens a second.`,
    markdownTable(
      ['Tokens while pairs of 4096 bits are made', 'median', 'low–high'],
      [
        line('p50 in calm, ms', ({ calmP50 }) => calmP50, 2),
        line('p50 meanwhile, ms', ({ disturbedP50 }) => disturbedP50, 2),
        line('p99 in calm, ms', ({ calm }) => calm, 2),
        line('p99 meanwhile, ms', ({ disturbed }) => disturbed, 2),
        line('p99 meanwhile against calm', ratioOf, 2),
        line('pairs made', ({ made }) => made, 0),
        line('requests for pairs refused (429)', ({ refused }) => refused, 0),
      ],
    ),
    `Goal: p99 within ${GOAL} × of calm: ${ratio <= GOAL ? 'met' : 'missed'}.`,
  ].join('\n\n')
}
