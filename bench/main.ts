import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareAssertions } from './assertions.ts'
import { startCountersign, type TokenKind } from './countersign.ts'
import { drawFlames } from './flame.ts'
import { measureFootprint } from './footprint.ts'
import { measure, type Sample } from './measure.ts'
import { writeBetweenMarks } from './page.ts'
import { toParagraphs, toSentence, toTable } from './report.ts'
import { listScenarios, type Scenario } from './scenarios.ts'
import { startComparedServers } from './servers.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** Requests per slot; a third of them over a single connection. */
    requests: { type: 'string', default: '3000' },
    connections: { type: 'string', default: '1,8,32,128' },
    port: { type: 'string', default: '18080' },
    json: { type: 'string', default: 'bench-results.json' },
    /** Only scenarios whose names match. */
    only: { type: 'string', default: '' },
    /** An empty folder for a CPU profile of Countersign, for a browser's developer tools, and a flame graph of it. */
    profile: { type: 'string' },
    /** Also writes the figures into docs/performance.md. */
    page: { type: 'boolean', default: false },
  },
})

const PAGE = new URL('../docs/performance.md', import.meta.url)
const rounds = Number(flags.rounds)
const connectionCounts = flags.connections.split(',').map(Number)
const countFor = (connections: number) => Math.ceil(Number(flags.requests) / (connections === 1 ? 3 : 1))

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-bench-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)

const countersign = await startCountersign(folder, Number(flags.port), flags.profile)
cleaning.defer(() => countersign.stop())
const compared = await startComparedServers(folder, countersign)
cleaning.defer(() => compared.provider.stop())
cleaning.defer(() => compared.limit.stop())
const servers = { countersign, 'oidc-provider': compared.provider, limit: compared.limit }
const scenarios = listScenarios(countersign, compared).filter(({ id }) => new RegExp(flags.only).test(id))
const samples = await run(scenarios)
await writeFile(flags.json, `${JSON.stringify({ at: new Date().toISOString(), flags, samples }, null, 1)}\n`)
console.log(toTable(samples))
const footprint = await measureFootprint(countersign)
console.log(toSentence(footprint))
if (flags.profile !== undefined) {
  await countersign.stop()
  console.log(`Flame graph: ${await drawFlames(flags.profile)}`)
}
if (flags.page) await writeBetweenMarks(PAGE, 'figures', toParagraphs({ samples, footprint, flags }))

/** Round by round, and within a round all scenarios one after the other: what drifts, drifts for all. */
async function run(scenarios: readonly Scenario[]): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 0; round <= rounds; round++) {
    for (const connections of connectionCounts) {
      const count = countFor(connections)
      const assertions = await prepareRound(count)
      for (const scenario of scenarios) {
        const requests = await scenario.prepare(count, assertions)
        const sample = await measure(scenario, { requests, connections, round }, servers[scenario.server])
        // Round 0 warms up: compilers, caches, connections.
        if (round > 0) samples.push(sample)
      }
    }
    console.log(round === 0 ? 'warmed up' : `round ${round} of ${rounds}`)
  }
  return samples
}

async function prepareRound(count: number): Promise<Record<TokenKind, string[]>> {
  const { jwt, opaque, rs256 } = countersign.subjects
  return {
    jwt: await prepareAssertions(jwt.source, count),
    opaque: await prepareAssertions(opaque.source, count),
    rs256: await prepareAssertions(rs256.source, count),
  }
}
