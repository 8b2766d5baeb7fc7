import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Client, createClient } from './client.ts'
import { startCountersign } from './countersign.ts'
import { describeMachine, markdownTable, writeBetweenMarks } from './page.ts'
import { listRefusedGroups, type Refused, type RefusedGroup, WARM_UP_ROUNDS } from './refused.ts'
import { type Comparison, compare, judgeComparison } from './timing-verdict.ts'

/**
 * Whether the time of a refusal tells what its text does not: which accounts, keys and people there are. All kinds of a
 * group are sent in turn, in an order that chance decides, by one caller over loopback on a server with nothing else to
 * do: nobody who asks over a network sees as much.
 *
 *   npm run timing
 */
const { values: flags } = parseArgs({
  options: {
    /** Of each kind. */
    samples: { type: 'string', default: '2000' },
    /** The same of sign-ins, each of which hashes a password. */
    'sign-ins': { type: 'string', default: '1000' },
    port: { type: 'string', default: '18110' },
    /** Only groups whose names match. */
    only: { type: 'string', default: '' },
    /** Also writes the table into docs/security/timing.md. */
    page: { type: 'boolean', default: false },
  },
})

type Line = { group: string; kind: Refused; comparison: Comparison; saysTheSame: boolean }

const PAGE = new URL('../docs/security/timing.md', import.meta.url)

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-timing-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)
const countersign = await startCountersign(folder, Number(flags.port), undefined, {
  // Each request comes from an address of its own: throttles and late answers are not what is measured.
  COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
})
cleaning.defer(() => countersign.stop())
const client = createClient(countersign.port, 1)
cleaning.defer(() => client.close())
const counts = { requests: Number(flags.samples), signIns: Number(flags['sign-ins']) }
const groups = await listRefusedGroups(countersign, counts, new RegExp(flags.only))
const lines: Line[] = []
for (const group of groups) {
  const found = await measureGroup(client, group)
  console.log(`${toTable(found)}\n`)
  lines.push(...found)
}
const report = `${describeMachine()}, one caller over loopback.\n\n${toTable(lines)}`
if (flags.page) await writeBetweenMarks(PAGE, 'timing', report)
if (lines.some((line) => isMissed(line))) process.exitCode = 1

async function measureGroup(client: Client, { name, samples, kinds }: RefusedGroup): Promise<Line[]> {
  const times = new Map<Refused, number[]>(kinds.map((kind) => [kind, []]))
  const answers = new Map<Refused, string>()
  let sent = 0
  for (let round = -WARM_UP_ROUNDS; round < samples; round++) {
    for (const kind of shuffle(kinds)) {
      const request = kind.request(addressOf(sent++), round + WARM_UP_ROUNDS)
      const sentAt = performance.now()
      const answer = await client.send(request)
      const microseconds = (performance.now() - sentAt) * 1000
      if (round >= 0) times.get(kind)?.push(microseconds)
      answers.set(kind, withoutItsOwn(answer))
    }
  }
  const [reference, ...others] = kinds
  const ofReference = times.get(reference) ?? []
  return others.map((kind) => ({
    group: `${name}: ${reference.name}`,
    kind,
    comparison: compare(ofReference, times.get(kind) ?? []),
    saysTheSame: answers.get(kind) === answers.get(reference),
  }))
}

/** By Fisher and Yates. */
function shuffle(kinds: readonly Refused[]): Refused[] {
  const shuffled = [...kinds]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    const [a, b] = [shuffled[last] as Refused, shuffled[other] as Refused]
    shuffled[last] = b
    shuffled[other] = a
  }
  return shuffled
}

/** An address of its own for each request, of one length. */
function addressOf(index: number): string {
  const octet = (shift: number) => 100 + (Math.floor(index / 100 ** shift) % 100)
  return `10.${octet(2)}.${octet(1)}.${octet(0)}`
}

/** What every answer has for itself. */
function withoutItsOwn(answer: string): string {
  return answer.replace(/req_[0-9a-z]+/g, 'req').replace(/\r\nDate: [^\r]+/i, '')
}

function isMissed({ kind, comparison, saysTheSame }: Line): boolean {
  const verdict = judgeComparison(comparison)
  if (!saysTheSame || verdict === 'too few samples') return true
  return verdict === 'told apart' && kind.byDesign === undefined
}

function toTable(lines: readonly Line[]): string {
  const rows = lines.map((line) => {
    const { group, kind, comparison, saysTheSame } = line
    const { median, difference, resolution, superiority, probability } = comparison
    const verdict = judgeComparison(comparison)
    return [
      group,
      kind.name,
      median.toFixed(0),
      `${difference < 0 ? '−' : '+'}${Math.abs(difference).toFixed(0)}`,
      resolution.toFixed(0),
      superiority.toFixed(3),
      probability < 0.001 ? '< 0.001' : probability.toFixed(3),
      [
        verdict,
        verdict === 'told apart' && kind.byDesign !== undefined ? `by design: ${kind.byDesign}` : '',
        saysTheSame ? '' : 'and the answers differ',
      ]
        .filter((part) => part !== '')
        .join(', '),
    ]
  })
  const headings = ['Refusal', 'against', 'median, µs', 'difference', 'told from', 'longer', 'p', '']
  return markdownTable(headings, rows)
}
