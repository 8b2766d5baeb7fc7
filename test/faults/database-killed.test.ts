import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Nodes, startNodes } from '../support/nodes.ts'
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts'
import { type Customer, countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { report } from './report.ts'

let postgres: PostgresServer
let cluster: Nodes
let customer: Customer

beforeAll(async () => {
  postgres = await startPostgresServer({ fsync: 'off' })
  cluster = await startNodes(2, { DATABASE_URL: postgres.url() })
  customer = await createCustomer(cluster)
})
afterAll(async () => {
  await cluster?.close()
  await postgres.close()
})

/** `npm run faults` does more of it, and for longer. */
const isLong = process.env.FAULT_KILLS !== undefined
const ROUNDS = isLong ? 5 : 1
/** Longer than a statement is waited for. */
const STANDSTILL_SECONDS = isLong ? 20 : 9
const OUTAGE_MILLISECONDS = 1_000

test.each<[string, string, () => Promise<void>]>([
  ['is killed', 'PostgreSQL is killed (`kill -9`), and started again', () => postgres.kill()],
  ['is restarted fast', 'PostgreSQL is restarted (fast)', () => postgres.stop('fast')],
  ['is restarted at once', 'PostgreSQL is restarted (immediate)', () => postgres.stop('immediate')],
])('while PostgreSQL %s callers hear 503, and nothing is lost', async (_name, fault, end) => {
  const load = startLoad(cluster, customer)
  const recoveries: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await load.nextToken()
    await end()
    await sleep(OUTAGE_MILLISECONDS)
    await postgres.start()
    recoveries.push(await load.nextToken())
  }
  const ledger = await load.stop()
  const losses = await countLosses(cluster, customer, ledger)
  await report(fault, { faults: ROUNDS, ledger, losses, recoveries })
  expect(ledger.wrong).toEqual([])
  expect(ledger.broken).toBe(0)
  expect(ledger.unavailable).toBeGreaterThan(0)
  expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
})

/** What a request may wait for at most (src/database/connect.ts), and what a busy machine adds. */
const BOUND_MILLISECONDS = 16_000

test('a database that stands still is waited for within bounds, and memory stays flat', async () => {
  const load = startLoad(cluster, customer, 40)
  await load.nextToken()
  const before = await memoryOf(cluster)
  const resume = await postgres.pause()
  await sleep(STANDSTILL_SECONDS * 1_000)
  const grown = (await memoryOf(cluster)) - before
  const { unavailable } = load.ledger
  resume()
  const recovery = await load.nextToken()
  const ledger = await load.stop()
  const losses = await countLosses(cluster, customer, ledger)
  await report(`PostgreSQL stands still for ${STANDSTILL_SECONDS} s (\`SIGSTOP\`)`, {
    faults: 1,
    ledger,
    losses,
    recoveries: [recovery],
  })
  expect(ledger.wrong).toEqual([])
  expect(unavailable).toBeGreaterThan(0)
  expect(ledger.longest).toBeLessThan(BOUND_MILLISECONDS)
  expect(grown).toBeLessThan(64)
  expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
})

test('a disk that takes no writes stops tokens with 503, and introspection goes on', async () => {
  const load = startLoad(cluster, customer, 8)
  await load.nextToken()
  const known = load.ledger.acknowledged[0]!.token
  // A commit that waits for a standby that nobody is: to whoever commits, a disk that never answers.
  await postgres.query(`alter system set synchronous_standby_names = 'nobody'`)
  await postgres.query('select pg_reload_conf()')
  await sleep(9_000)
  const before = load.ledger.acknowledged.length
  const introspection = await cluster.nodes[0]!.post(
    '/oauth/introspect',
    { token: known },
    { authorization: customer.authorization },
  )
  await sleep(1_000)
  expect(load.ledger.acknowledged.length).toBe(before)
  await postgres.query('alter system reset synchronous_standby_names')
  await postgres.query('select pg_reload_conf()')
  const recovery = await load.nextToken()
  const ledger = await load.stop()
  const losses = await countLosses(cluster, customer, ledger)
  await report('Writes stand still for 10 s', { faults: 1, ledger, losses, recoveries: [recovery] })
  expect(introspection).toMatchObject({ status: 200, body: { active: true } })
  expect(ledger.wrong).toEqual([])
  expect(ledger.longest).toBeLessThan(BOUND_MILLISECONDS)
  expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
})

/** Resident memory of all nodes, in MiB. */
async function memoryOf({ nodes }: Nodes): Promise<number> {
  const texts = await Promise.all(nodes.map((node) => readFile(`/proc/${node.pid()}/status`, 'utf8')))
  return texts.reduce((sum, text) => sum + Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) / 1024, 0)
}
