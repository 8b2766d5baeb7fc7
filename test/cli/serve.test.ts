import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { makeFolder, runCommand, type ServerProcess, startProcess } from '../support/command.ts'
import { eventually } from '../support/eventually.ts'
import { isRunning, workersOf } from '../support/worker-processes.ts'

// One embedded server goes through its life here, test by test, in order.
jest.setTimeout(60_000)

let folder: string
let server: ServerProcess
let port: number

const start = async () => {
  server = await startProcess({ cwd: folder, args: ['--data-dir', 'data'], ...(port ? { port } : {}) })
  port = Number(new URL(server.issuer).port)
}

beforeAll(async () => {
  folder = await makeFolder()
  await start()
})

afterAll(async () => {
  if (server.child.exitCode === null && server.child.signalCode === null) await server.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

test('first starts that are killed at any moment leave nothing that the next one stumbles over', async () => {
  const killed = await makeFolder()
  for (const milliseconds of [500, 900, 1_400]) {
    const options = { cwd: killed, args: ['--data-dir', 'data'] }
    const process = await startProcess({ ...options, waitMilliseconds: milliseconds })
    await process.end('SIGKILL')
  }
  const survivor = await startProcess({ cwd: killed, args: ['--data-dir', 'data'] })
  expect((await readdir(join(killed, 'keys'))).sort()).toEqual(['key-encryption-key', 'operator.json'])
  const args = ['token', '--key-file', 'keys/operator.json', '--issuer', survivor.issuer]
  expect(await runCommand(args, { cwd: killed })).toMatchObject({ code: 0 })
  expect(await survivor.end('SIGTERM')).toMatchObject({ code: 0 })
  await rm(killed, { recursive: true, force: true })
})

describe('a first start', () => {
  test('says where everything is and what to do next', () => {
    expect(server.stdout()).toContain(`Issuer         ${server.issuer}`)
    expect(server.stdout()).toContain(`${server.issuer}/docs`)
    expect(server.stdout()).toContain(`${join(folder, 'keys/operator.json')} (new:`)
    expect(server.stdout()).toMatch(/Data {11}\S+\/data \(embedded PostgreSQL\)/)
    expect(server.stdout()).toContain('token --key-file keys/operator.json')
    expect(server.stdout()).toContain(`countersign -- demo --issuer ${server.issuer}\n`)
  })

  test('prints a link for the first administrator, and where the console is', () => {
    expect(server.stdout()).toContain(`Console        ${server.issuer}/console\n`)
    expect(server.stdout()).toMatch(
      /Be the first administrator \(good once, until \S+\):\n\s+http\S+\/console\/set-up#csi_[\w-]{43}\n/,
    )
  })

  test('leaves secrets that only their owner can read, and nothing half made', async () => {
    expect((await readdir(join(folder, 'keys'))).sort()).toEqual(['key-encryption-key', 'operator.json'])
    for (const name of ['key-encryption-key', 'operator.json']) {
      expect((await stat(join(folder, 'keys', name))).mode & 0o777).toBe(0o600)
    }
    expect((await stat(join(folder, 'keys'))).mode & 0o777).toBe(0o700)
  })

  test('gives a key file that gets a token for the management API', async () => {
    const { code, stdout } = await runCommand(['token', '--key-file', 'keys/operator.json', '--decode'], {
      cwd: folder,
    })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      header: { typ: 'at+jwt' },
      claims: { iss: server.issuer, aud: `${server.issuer}/api/v1` },
    })
  })

  test('lets commands work beside it on its embedded database, and goes on', async () => {
    const run = (...args: string[]) => runCommand([...args, '--data-dir', 'data'], { cwd: folder })
    const invited = await run('invite', '--email', 'ada@acme.example', '--issuer', server.issuer)
    expect(invited).toMatchObject({ code: 0, stderr: '' })
    expect(invited.stdout).toContain(`${server.issuer}/console/invitation#csi_`)
    expect(await run('migrate')).toMatchObject({ code: 0, stdout: 'The database schema is up to date.\n' })
    const verified = await run('audit', 'verify')
    expect(verified).toMatchObject({ code: 0, stderr: '' })
    expect(verified.stdout).toMatch(/^operator \(org_\w+\): ok, /)
    expect((await fetch(`${server.issuer}/health/ready`)).status).toBe(200)
  })

  test('holds the data folder: a second server is refused with one line', async () => {
    const args = ['serve', '--data-dir', 'data', '--port', '0', '--issuer', 'http://localhost']
    const { code, stderr } = await runCommand(args, { cwd: folder })
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^countersign: The data folder \S+ is in use by another Countersign server.*--data-dir.*\n$/,
    )
  })
})

test('Ctrl-C, which npm passes on once more, lets a request under way finish and ends with exit code 0', async () => {
  const { client, response } = await beginRequest()
  server.child.kill('SIGINT')
  await saysThatItStops()
  server.child.kill('SIGINT')
  await eventually(() => expect(fetch(`${server.issuer}/health/live`)).rejects.toThrow())
  client.end('grant_type=unknown')
  expect((await response).statusCode).toBe(400)
  expect(await server.ended).toMatchObject({ code: 0, stderr: '' })
})

test('SIGTERM ends the server and its PostgreSQL', async () => {
  await start()
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0, stderr: '' })
  expect(await readdir(join(folder, 'data'))).not.toContain('postmaster.pid')
})

test('a second start changes nothing, and does not speak of set-up', async () => {
  await start()
  const before = await takeStock()
  await server.end('SIGTERM')
  await start()
  expect(await takeStock()).toEqual(before)
  expect(server.stdout()).not.toMatch(/new:|Creating|csi_|first administrator/)
  expect(server.stdout()).toContain(join(folder, 'keys/operator.json'))
})

test('a PostgreSQL that is killed comes back without a restart of the server', async () => {
  const pid = Number((await readFile(join(folder, 'data/postmaster.pid'), 'utf8')).split('\n')[0])
  process.kill(pid, 'SIGKILL')
  await eventually(async () => {
    const { status, headers } = await requestToken()
    expect(status).toBe(503)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  })
  await eventually(async () => expect((await fetch(`${server.issuer}/health/ready`)).status).toBe(200))
  expect((await runCommand(['token', '--key-file', 'keys/operator.json'], { cwd: folder })).code).toBe(0)
  expect(server.child.exitCode).toBeNull()
})

test('after kill -9 nothing that was acknowledged is missing', async () => {
  const token = await getToken()
  const another = await getToken()
  await server.end('SIGKILL')
  await start()
  const { body } = await introspect(token, another)
  expect(body).toMatchObject({ active: true, token_type: 'Bearer', iss: server.issuer })
  expect((await introspect(another, token)).body).toMatchObject({ active: true })
})

test('a second signal, later than an echo, ends a server that is still busy', async () => {
  const { client } = await beginRequest()
  server.child.kill('SIGTERM')
  await saysThatItStops()
  await sleep(1_100)
  const { code } = await server.end('SIGTERM')
  client.destroy()
  expect(code).toBe(143)
})

test('several workers serve on the embedded database; SIGTERM lets each answer what is under way, and ends them and it', async () => {
  server = await startProcess({ cwd: folder, args: ['--data-dir', 'data', '--workers', '2'], port })
  const workers = workersOf(Number(server.child.pid))
  expect(workers).toHaveLength(2)
  expect((await runCommand(['token', '--key-file', 'keys/operator.json'], { cwd: folder })).code).toBe(0)
  const begun = [await beginRequest(), await beginRequest()]
  server.child.kill('SIGTERM')
  // A connection that comes in this very moment may be left waiting by node:cluster until the end.
  const isAnswered = () => fetch(`${server.issuer}/health/live`, { signal: AbortSignal.timeout(1_000) })
  await eventually(() => expect(isAnswered()).rejects.toThrow())
  for (const { client, response } of begun) {
    client.end('grant_type=unknown')
    expect((await response).statusCode).toBe(400)
  }
  expect(await server.ended).toMatchObject({ code: 0, stderr: '' })
  expect(workers.filter(isRunning)).toEqual([])
  expect(await readdir(join(folder, 'data'))).not.toContain('postmaster.pid')
})

async function getToken(): Promise<string> {
  const { stdout } = await runCommand(['token', '--key-file', 'keys/operator.json'], { cwd: folder })
  return stdout.trim()
}

/** What the server says of a token to the holder of another one. */
async function introspect(token: string, bearer: string): Promise<{ body: unknown }> {
  const response = await fetch(`${server.issuer}/oauth/introspect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}` },
    body: new URLSearchParams({ token }),
  })
  return { body: await response.json() }
}

/** A token request of an unknown account: it needs the database, and nothing else. */
function requestToken(): Promise<Response> {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 60
  const assertion = `${encode({ alg: 'RS256', kid: 'x' })}.${encode({ iss: 'acc_x', sub: 'acc_x', aud: server.issuer, exp })}.eA`
  return fetch(`${server.issuer}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }),
  })
}

/** So the first signal has arrived. */
async function saysThatItStops(): Promise<void> {
  await eventually(() => expect(server.stdout()).toContain('"msg":"stopping"'))
}

/** A token request whose body is not there yet. */
async function beginRequest(): Promise<{ client: ClientRequest; response: Promise<IncomingMessage> }> {
  const client = request(`${server.issuer}/oauth/token`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': 18,
      expect: '100-continue',
    },
  })
  client.on('error', () => undefined)
  const response = once(client, 'response').then(([message]) => message as IncomingMessage)
  response.catch(() => undefined)
  client.flushHeaders()
  await once(client, 'continue')
  return { client, response }
}

/** Rows of every table, and the files of the keys folder with the times of their last change. */
async function takeStock() {
  const client = new pg.Client({
    host: await realDataDir(),
    port: 5432,
    user: 'countersign',
    database: 'countersign',
  })
  await client.connect()
  const { rows: tables } = await client.query(
    `select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace order by 1`,
  )
  const contents: Record<string, unknown> = {}
  for (const { relname } of tables) {
    contents[relname] = (await client.query(`select t::text from ${relname} t order by 1`)).rows
  }
  await client.end()
  const files = await Promise.all(
    ['key-encryption-key', 'operator.json'].map(
      async (name) => (await stat(join(folder, 'keys', name))).mtimeMs,
    ),
  )
  return { contents, files, names: await readdir(join(folder, 'keys')) }
}

async function realDataDir(): Promise<string> {
  const { stdout } = await promisify(execFile)('realpath', [join(folder, 'data')])
  return stdout.trim()
}
