import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { systemClock } from '../src/clock.ts'
import { type Environment, parseConfig } from '../src/config.ts'
import { connectDatabase } from '../src/database/connect.ts'
import { type EmbeddedPostgres, startEmbedded } from '../src/database/embedded.ts'
import { parseDatabaseUrl } from '../src/database-url.ts'
import { createLogger } from '../src/observability/logger.ts'
import { type RunningServer, startServer } from '../src/server.ts'
import { findFreePort, makeFolder, urlOf } from './support/command.ts'
import { createTestDatabase } from './support/database.ts'
import { eventually } from './support/eventually.ts'

jest.setTimeout(60_000)

const FAST = { fsync: 'off' }
let folder: string

beforeAll(async () => {
  folder = await makeFolder()
})

afterAll(() => rm(folder, { recursive: true, force: true }))

const start = async (environment: Environment): Promise<RunningServer> => {
  const port = String(await findFreePort())
  const config = parseConfig({ COUNTERSIGN_PORT: port, COUNTERSIGN_LOG_LEVEL: 'warn', ...environment })
  const logger = createLogger(config.logLevel, new PassThrough())
  return startServer(config, { clock: systemClock, logger, tell: () => undefined, validateResponses: true })
}

describe('a database that is lost', () => {
  let cluster: EmbeddedPostgres
  let server: RunningServer

  beforeAll(async () => {
    cluster = await startCluster()
    server = await start({
      DATABASE_URL: urlOf({ address: cluster.connection }),
      COUNTERSIGN_MIGRATE: 'true',
      COUNTERSIGN_KEYS_DIR: join(folder, 'lost-keys'),
    })
  })

  afterAll(async () => {
    await server.stop()
    await cluster.stop()
  })

  test('gives 503 with Retry-After at the OAuth endpoints, and serves again when it is back', async () => {
    expect(await statusOf('/health/ready')).toBe(200)
    expect(await askForToken(server)).toMatchObject({ status: 400 })

    await cluster.stop()
    for (const ask of [() => askForToken(server), askAboutToken]) {
      const response = await ask()
      expect(response.status).toBe(503)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' })
    }
    expect(await statusOf('/health/ready')).toBe(503)
    expect(await statusOf('/health/live')).toBe(200)

    cluster = await startCluster()
    expect(await askForToken(server)).toMatchObject({ status: 400 })
    expect(await askAboutToken()).toMatchObject({ status: 401 })
    expect(await statusOf('/health/ready')).toBe(200)
  })

  function startCluster(): Promise<EmbeddedPostgres> {
    return startEmbedded({ dataDir: join(folder, 'lost'), log: () => undefined, extraSettings: FAST })
  }

  async function statusOf(path: string): Promise<number> {
    return (await fetch(server.url + path)).status
  }

  function askAboutToken(): Promise<Response> {
    const authorization = `Basic ${Buffer.from(`rs_x:css_${'x'.repeat(43)}`).toString('base64')}`
    const body = new URLSearchParams({ token: 'x' })
    return fetch(`${server.url}/oauth/introspect`, { method: 'POST', headers: { authorization }, body })
  }
})

describe('starting', () => {
  test('two servers that start together on an empty database agree on everything', async () => {
    const database = await createTestDatabase({ empty: true })
    const environment = {
      DATABASE_URL: urlOf(database),
      COUNTERSIGN_MIGRATE: 'true',
      COUNTERSIGN_ISSUER: 'https://id.example.test',
      COUNTERSIGN_KEYS_DIR: join(folder, 'shared-keys'),
    }
    const servers = await Promise.all([start(environment), start(environment)])
    const keys = await Promise.all(
      servers.map(async ({ url }) => (await fetch(`${url}/.well-known/jwks.json`)).json()),
    )
    expect(keys[0]).toEqual(keys[1])
    expect(servers.map((server) => server.operatorKeyFile?.state).sort()).toEqual(['created', 'present'])
    expect(await listOperatorKeys(environment.DATABASE_URL)).toHaveLength(1)
    await Promise.all(servers.map((server) => server.stop()))
    await database.drop()
  })

  test('a start that was killed between key and key file is finished by the next one', async () => {
    const database = await createTestDatabase()
    const keysDir = join(folder, 'killed-keys')
    const environment = { DATABASE_URL: urlOf(database), COUNTERSIGN_KEYS_DIR: keysDir }
    await (await start(environment)).stop()
    const path = join(keysDir, 'operator.json')
    const content = await readFile(path, 'utf8')
    await rm(path)
    await writeFile(`${path}.draft`, content)

    const server = await start(environment)
    expect(server.operatorKeyFile).toMatchObject({ state: 'present', path })
    expect(await readFile(path, 'utf8')).toBe(content)
    await expect(readFile(`${path}.draft`)).rejects.toThrow('ENOENT')
    await server.stop()
    await database.drop()
  })

  test('a start that was killed before its key was committed leaves no key and no file', async () => {
    const database = await createTestDatabase()
    const keysDir = join(folder, 'torn-keys')
    const environment = { DATABASE_URL: urlOf(database), COUNTERSIGN_KEYS_DIR: keysDir }
    await (await start(environment)).stop()
    const path = join(keysDir, 'operator.json')
    const content = await readFile(path, 'utf8')
    const other = await createTestDatabase()
    await rm(path)
    for (const draft of [content, content.slice(0, 100)]) {
      await writeFile(`${path}.draft`, draft)
      const server = await start({ ...environment, DATABASE_URL: urlOf(other) })
      expect(server.operatorKeyFile?.state).toMatch(/created|present/)
      expect(await readFile(path, 'utf8')).not.toBe(content)
      await expect(readFile(`${path}.draft`)).rejects.toThrow('ENOENT')
      await server.stop()
    }
    await Promise.all([database.drop(), other.drop()])
  })

  test('an operator key file of another installation is never replaced', async () => {
    const database = await createTestDatabase()
    const keysDir = join(folder, 'killed-keys')
    const before = await readFile(join(keysDir, 'operator.json'), 'utf8')
    const environment = { DATABASE_URL: urlOf(database), COUNTERSIGN_KEYS_DIR: keysDir }
    await expect(start(environment)).rejects.toThrow('is the key file of another installation')
    expect(await readFile(join(keysDir, 'operator.json'), 'utf8')).toBe(before)
    await database.drop()
  })

  test('in production no private key is made on the server', async () => {
    const database = await createTestDatabase()
    const keysDir = join(folder, 'production-keys')
    const server = await start({
      NODE_ENV: 'production',
      DATABASE_URL: urlOf(database),
      COUNTERSIGN_ISSUER: 'https://id.example.test',
      COUNTERSIGN_KEYS_DIR: keysDir,
      COUNTERSIGN_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    })
    expect(server.operatorKeyFile).toMatchObject({ state: 'absent', hasKeys: false })
    expect(await listOperatorKeys(urlOf(database))).toEqual([])
    await expect(readFile(join(keysDir, 'operator.json'))).rejects.toThrow('ENOENT')
    await server.stop()
    await database.drop()
  })

  test('the metrics have a listener of their own, and tell of requests, refusals, batches, pool and event loop', async () => {
    const database = await createTestDatabase()
    const metricsPort = await findFreePort()
    const server = await start({
      DATABASE_URL: urlOf(database),
      COUNTERSIGN_KEYS_DIR: join(folder, 'metrics-keys'),
      COUNTERSIGN_METRICS_PORT: String(metricsPort),
    })
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404)
    expect((await askForToken(server)).status).toBe(400)
    await eventually(async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
      for (const sample of [
        'countersign_requests_total{endpoint="token",status="400"} 1',
        'countersign_refusals_total{endpoint="token",reason="issuer_unknown"} 1',
        'countersign_request_seconds_count{endpoint="token"} 1',
        'countersign_batch_items_count{statement="find_issuers"} 1',
      ]) {
        expect(metrics.split('\n')).toContain(sample)
      }
      expect(metrics).toMatch(/^countersign_database_connections\{state="idle"\} [1-9]/m)
      expect(metrics).toMatch(/^nodejs_eventloop_lag_p99_seconds \d/m)
      expect(metrics).toMatch(/^countersign_signing_key_age_seconds\{algorithm="ES256"\} \d/m)
      expect(metrics).toMatch(/^countersign_signing_key_rotation_in_seconds\{algorithm="RS256"\} 77\d{5}/m)
    })
    await server.stop()
    await expect(fetch(`http://127.0.0.1:${metricsPort}/metrics`)).rejects.toThrow()
    await database.drop()
  })
})

/** A token request of an unknown account: it needs the database, and nothing else. */
function askForToken({ url, issuer }: RunningServer): Promise<Response> {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'acc_x', sub: 'acc_x', aud: issuer, exp: Math.floor(Date.now() / 1000) + 60 }
  const assertion = `${encode({ alg: 'RS256', kid: 'x' })}.${encode(claims)}.eA`
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
  return fetch(`${url}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })
}

async function listOperatorKeys(url: string): Promise<unknown[]> {
  const connection = connectDatabase(
    { hosts: parseDatabaseUrl(url) },
    { maxConnections: 1, onIdleError: () => undefined },
  )
  const { rows } = await connection.pool.query('select id from keys')
  await connection.close()
  return rows
}
