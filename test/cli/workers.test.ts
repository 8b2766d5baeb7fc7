import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { get } from 'node:http'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { findFreePort, makeFolder, runCommand, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { type Node, type Nodes, signWithKeyFile, startNodes } from '../support/nodes.ts'
import { type Customer, countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { type Connection, connectToEach, isRunning, workersOf } from '../support/worker-processes.ts'

// One server with two workers goes through its life here, test by test, in order.
jest.setTimeout(60_000)

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let folder: string
let database: TestDatabase
let metricsPort: number
let cluster: Nodes
let server: Node
let customer: Customer

beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
  metricsPort = await findFreePort()
  cluster = await startNodes(1, {
    DATABASE_URL: urlOf(database),
    COUNTERSIGN_WORKERS: '2',
    COUNTERSIGN_METRICS_PORT: String(metricsPort),
  })
  server = cluster.nodes[0] as Node
  await bothServe()
  customer = await createCustomer(cluster)
})

afterAll(async () => {
  await cluster?.close()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

test('the first start says once where everything is, and makes one installation', () => {
  for (const once of [/Listening on/g, /csi_/g, /operator\.json \(new:/g]) {
    expect(cluster.output().match(once)).toHaveLength(1)
  }
  expect(cluster.output()).toMatch(/Workers {8}2\n/)
})

test('both workers answer, and each knows the tokens that the other has issued', async () => {
  const [one, other] = await connections()
  for (const [issuing, asked] of [
    [one, other],
    [other, one],
  ] as const) {
    const token = await issue(issuing)
    const answer = await asked.post('/oauth/introspect', { token }, { authorization: customer.authorization })
    expect(answer).toMatchObject({ status: 200, body: { active: true } })
    expect(await asked.get('/health/ready')).toEqual({ status: 200, body: { status: 'ready' } })
  }
  close(one, other)
})

test('an assertion that one worker has taken is refused by the other, also when both get it at once', async () => {
  const [one, other] = await connections()
  for (let turn = 0; turn < 5; turn++) {
    const assertion = await signWithKeyFile(customer.keyFile)
    const form = { grant_type: JWT_BEARER, assertion }
    const answers = await Promise.all([one, other].map((worker) => worker.post('/oauth/token', form)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
    expect((await one.post('/oauth/token', form)).status).toBe(400)
    expect((await other.post('/oauth/token', form)).status).toBe(400)
  }
  close(one, other)
})

test('the metrics are those of both workers together', async () => {
  const [one, other] = await connections()
  const sample = 'countersign_requests_total{endpoint="discovery",status="200"}'
  const before = (await readMetric(sample)) || 0
  for (let turn = 0; turn < 3; turn++) await one.get('/.well-known/jwks.json')
  for (let turn = 0; turn < 4; turn++) await other.get('/.well-known/jwks.json')
  await eventually(async () => expect(await readMetric(sample)).toBe(before + 7))
  expect(await readMetric('countersign_workers')).toBe(2)
  close(one, other)
})

test('a signal that a terminal sends to every process does not end a worker before its time', async () => {
  const before = workersOf(server.pid())
  for (const pid of before) process.kill(pid, 'SIGINT')
  const [one, other] = await connections()
  expect((await one.get('/health/ready')).status).toBe(200)
  expect((await other.get('/health/ready')).status).toBe(200)
  expect(workersOf(server.pid())).toEqual(before)
  close(one, other)
})

test('a worker that hangs is given no connection that would wait for it', async () => {
  const [hanging, other] = workersOf(server.pid()) as [number, number]
  process.kill(hanging, 'SIGSTOP')
  const all = async () => {
    for (let turn = 0; turn < 8; turn++) close(...(await connectToEach(server.url, [other])))
    return 'served'
  }
  const outcome = await Promise.race([all(), sleep(20_000, 'one waits')])
  process.kill(hanging, 'SIGCONT')
  expect(outcome).toBe('served')
})

test('a worker that is killed under load is replaced, and no token that was answered is lost', async () => {
  const load = startLoad(cluster, customer, 2)
  await load.nextToken()
  const tokens = 'countersign_requests_total{endpoint="token",status="200"}'
  const counted = await readMetric(tokens)
  const [victim, survivor] = workersOf(server.pid()) as [number, number]
  process.kill(victim, 'SIGKILL')
  await load.nextToken()
  await eventually(async () => expect(await readMetric('countersign_workers')).toBe(2))
  expect(workersOf(server.pid())).toContain(survivor)
  expect(workersOf(server.pid())).not.toContain(victim)
  await load.nextToken()
  const ledger = await load.stop()
  expect(ledger.wrong).toEqual([])
  expect(await countLosses(cluster, customer, ledger)).toMatchObject({ lost: 0, acceptedTwice: 0 })
  expect(await readMetric(tokens)).toBeGreaterThan(counted)
  expect(await readMetric('countersign_workers_lost_total')).toBe(1)
  expect(cluster.output()).toMatch(
    new RegExp(`"pid":${victim},"how":"ended by SIGKILL","pauseMilliseconds":0`),
  )
})

test('a number of workers that is none is refused', async () => {
  const { code, stderr } = await runCommand(['serve', '--workers', '0'], { cwd: folder })
  expect(code).toBe(1)
  expect(stderr).toContain('COUNTERSIGN_WORKERS must be a number of workers from 1 to 64')
})

test('workers that cannot start end the start with the message that one process would give', async () => {
  const inTheWay = createServer().listen(0, '127.0.0.1')
  await once(inTheWay, 'listening')
  const { port } = inTheWay.address() as AddressInfo
  const outcome = await runCommand(['serve', '--workers', '2', '--port', String(port)], {
    cwd: folder,
    env: { ...cluster.environment, COUNTERSIGN_METRICS_PORT: '' },
  })
  inTheWay.close()
  expect(outcome).toMatchObject({
    code: 1,
    stderr: `countersign: Port ${port} is in use by another program. Choose another with --port or COUNTERSIGN_PORT.\n`,
  })
})

test('nobody starts a worker by hand', async () => {
  expect(await runCommand(['worker'], { cwd: folder })).toMatchObject({
    code: 1,
    stderr: 'countersign: A worker is started by countersign serve --workers.\n',
  })
})

test('a connection made while the server stops does not wait for what is under way', async () => {
  const { hostname, port } = new URL(server.url)
  const slow = createConnection(Number(port), hostname)
  slow.write('POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n')
  await sleep(100)
  const stopped = server.stop()
  let longest = 0
  for (let isOpen = true; isOpen; ) {
    const startedAt = performance.now()
    isOpen = await isServed(server.url)
    longest = Math.max(longest, performance.now() - startedAt)
  }
  expect(longest).toBeLessThan(5_000)
  expect(slow.readyState).toBe('open')
  slow.end('token=abc')
  await stopped
  await server.start()
  await bothServe()
})

test('kill -9 of the server leaves no worker behind, and its port is free', async () => {
  const workers = workersOf(server.pid())
  expect(workers).toHaveLength(2)
  await server.kill()
  await eventually(() => expect(workers.filter(isRunning)).toEqual([]))
  // Not at once: what remains of a process may have a thread that has not let go of the port yet.
  await eventually(async () => {
    const next = createServer().listen(Number(new URL(server.url).port), '127.0.0.1')
    await once(next, 'listening')
    next.close()
  })
})

/** A connection to each worker. */
async function connections(): Promise<[Connection, Connection]> {
  return (await connectToEach(server.url, workersOf(server.pid()))) as [Connection, Connection]
}

function close(...connections: Connection[]): void {
  for (const connection of connections) connection.close()
}

/** A start is over once all workers serve; until then the first one does. */
async function bothServe(): Promise<void> {
  await eventually(async () => expect(await readMetric('countersign_workers')).toBe(2))
}

async function issue(worker: Connection): Promise<string> {
  const assertion = await signWithKeyFile(customer.keyFile)
  const { status, body } = await worker.post('/oauth/token', { grant_type: JWT_BEARER, assertion })
  expect(status).toBe(200)
  return body.access_token
}

/** On a connection of its own; false when it is refused or closed without an answer. */
function isServed(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get(`${url}/health/live`, { agent: false }, (response) => {
      response.resume().once('close', () => resolve(true))
    })
    asked.once('error', () => resolve(false))
  })
}

/** NaN where there is no such sample. */
async function readMetric(sample: string): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const line = metrics.split('\n').find((each) => each.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? Number.NaN)
}
