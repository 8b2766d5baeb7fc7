import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareAssertions } from './assertions.ts'
import { addCallers, type Callers } from './callers.ts'
import { type Countersign, startCountersign } from './countersign.ts'
import { fillAccounts } from './fill-accounts.ts'
import { fillHistory } from './fill-history.ts'
import { connectToDatabase } from './footprint.ts'
import { type Growth, PROFILES, type Profile, toGrowthTable, toParagraphs } from './growth-report.ts'
import { timeLists } from './lists.ts'
import { grantForm, tokenRequest } from './load.ts'
import { measure, type Sample } from './measure.ts'
import { writeBetweenMarks } from './page.ts'
import { introspections, requestToken } from './scenarios.ts'

/**
 * Whether tokens and introspections stay as fast as on an empty database, with months of grant records, and with a
 * million accounts. One server for each, which are given the same load in turn.
 *
 *   npm run bench:growth -- --page
 */
const { values: flags } = parseArgs({
  options: {
    records: { type: 'string', default: '20000000' },
    accounts: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '2000' },
    connections: { type: 'string', default: '32' },
    port: { type: 'string', default: '18120' },
    json: { type: 'string', default: 'growth-results.json' },
    /** Also writes the figures into docs/performance.md. */
    page: { type: 'boolean', default: false },
  },
})

type Server = { profile: Profile; countersign: Countersign; callers: Callers }

const PAGE = new URL('../docs/performance.md', import.meta.url)
const KINDS = ['jwt', 'opaque'] as const
/** Tokens that introspections ask about in turn, each of another account. */
const INTROSPECTED_TOKENS = 200
const now = Date.now()
const rounds = Number(flags.rounds)
const count = Number(flags.requests)

await using cleaning = new AsyncDisposableStack()
const folder = await mkdtemp(join(tmpdir(), 'countersign-growth-'))
cleaning.defer(() => rm(folder, { recursive: true, force: true }))
// As root the database runs as another user, who must be able to enter.
await chmod(folder, 0o755)

const servers: Server[] = []
for (const [index, profile] of PROFILES.entries()) servers.push(await start(profile, index))
await Promise.all(servers.map(fill))
const samples = await run()
const growth: Growth = {
  samples,
  lists: {
    empty: await timeLists(find('empty').countersign, now),
    accounts: await timeLists(find('accounts').countersign, now),
    history: await timeLists(find('history').countersign, now),
  },
  sizes: { history: await sizeOf('history'), accounts: await sizeOf('accounts') },
  flags,
}
await writeFile(flags.json, `${JSON.stringify({ at: new Date().toISOString(), ...growth }, null, 1)}\n`)
console.log(toGrowthTable(growth))
if (flags.page) await writeBetweenMarks(PAGE, 'growth', toParagraphs(growth))

async function start(profile: Profile, index: number): Promise<Server> {
  const home = join(folder, profile)
  await mkdir(home)
  await chmod(home, 0o755)
  const countersign = await startCountersign(home, Number(flags.port) + index, undefined)
  cleaning.defer(() => countersign.stop())
  const database = await connectToDatabase(countersign)
  const callers = await addCallers(database, countersign, now)
  await database.query('analyze')
  await database.end()
  return { profile, countersign, callers }
}

async function fill({ profile, countersign }: Server): Promise<void> {
  const startedAt = performance.now()
  if (profile === 'history') await fillHistory(countersign, Number(flags.records), now)
  if (profile === 'accounts') await fillAccounts(countersign, Number(flags.accounts), now)
  console.log(`${profile} is filled: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
}

/** Slot by slot all servers one after the other, each round in another order: what drifts, drifts for all. */
async function run(): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 0; round <= rounds; round++) {
    const order = servers.map((_, index) => servers[(index + round) % servers.length] as Server)
    const slots = await Promise.all(order.map(prepareSlots))
    for (const [index, { name }] of (slots[0] ?? []).entries()) {
      for (const [position, { profile, countersign }] of order.entries()) {
        const { expected = '', requests = [] } = slots[position]?.[index] ?? {}
        const slot = { requests, connections: Number(flags.connections), round }
        const sample = await measure({ id: `${profile} ${name}`, expected }, slot, countersign)
        // Round 0 warms up.
        if (round > 0) samples.push(sample)
      }
    }
    console.log(round === 0 ? 'warmed up' : `round ${round} of ${rounds}`)
  }
  return samples
}

type Slot = { name: string; expected: string; requests: Buffer[] }

async function prepareSlots({ countersign, callers }: Server): Promise<Slot[]> {
  const slots: Slot[] = []
  for (const kind of KINDS) {
    const assertions = await prepareAssertions(callers[kind], count)
    slots.push({
      name: `${kind} token`,
      expected: '"access_token"',
      requests: assertions.map((assertion) => tokenRequest(assertion)),
    })
  }
  for (const kind of KINDS) {
    const tokens = await issueTokens(countersign, callers[kind])
    slots.push({
      name: `${kind} introspection`,
      expected: '"active":true',
      requests: introspections(count, '/oauth/introspect', countersign.introspectors[kind], tokens),
    })
  }
  return slots
}

async function issueTokens(countersign: Countersign, callers: Callers['jwt']): Promise<string[]> {
  const assertions = await prepareAssertions(callers, INTROSPECTED_TOKENS)
  const url = `${countersign.issuer}/oauth/token`
  return Promise.all(assertions.map((assertion) => requestToken(url, grantForm(assertion))))
}

function find(profile: Profile): Server {
  return servers.find((server) => server.profile === profile) as Server
}

/** In bytes, and rows of the tables that were filled. */
async function sizeOf(profile: Profile): Promise<{ bytes: number; records: number; accounts: number }> {
  const database = await connectToDatabase(find(profile).countersign)
  const { rows } = await database.query(`
    select pg_database_size(current_database())::float8 as bytes,
           (select count(*) from grant_records)::float8 as records,
           (select count(*) from accounts)::float8 as accounts`)
  await database.end()
  return rows[0]
}
