import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { findFreePort, makeFolder, type Outcome, runCommand, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

jest.setTimeout(30_000)

let folder: string
let database: TestDatabase

beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase()
})

afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const run = (args: readonly string[], env: Record<string, string> = {}) =>
  runCommand(args, { cwd: folder, env })

/** One line that says what is wrong, and what to do about it; no stack, nothing on standard output. */
function expectOneLine({ code, stdout, stderr }: Outcome, ...patterns: readonly RegExp[]) {
  expect({ code, lines: stderr.trimEnd().split('\n').length, stderr }).toMatchObject({ code: 1, lines: 1 })
  for (const pattern of patterns) expect(stderr).toMatch(pattern)
  expect(stderr).not.toMatch(/^ {4}at /m)
  expect(stdout).toBe('')
}

describe('what is wrong with the command line is said in one line', () => {
  test.each([
    [['sreve'], /unknown command 'sreve'.*serve/],
    [['serve', '--prot', '1'], /unknown option '--prot'.*--port/],
    [['serve', 'now'], /too many arguments/],
    [['token'], /--key-file/],
    [['token', '--key-file', 'a', '--private-key', 'b'], /not both/],
    [['introspect', 'token'], /--secret-file/],
  ])('countersign %j', async (args, pattern) => {
    expectOneLine(await run(args), pattern)
  })
})

describe('a key file that cannot be used is named, and nothing of it is shown', () => {
  test('that is missing', async () => {
    expectOneLine(await run(['token', '--key-file', 'none.json']), /no file none\.json/)
  })

  test.each([
    ['{"type": "service_account", "private_key": "S3CRET"', /not JSON/],
    ['{"type": "authorized_user", "refresh_token": "S3CRET"}', /another kind of file/],
    ['{"type": "service_account", "private_key": "S3CRET"}', /lacks project_id/],
  ])('that holds %s', async (text, pattern) => {
    await writeFile(join(folder, 'key.json'), text)
    const outcome = await run(['token', '--key-file', 'key.json'])
    expectOneLine(outcome, /key\.json/, pattern)
    expect(outcome.stderr).not.toContain('S3CRET')
  })
})

describe('what keeps a server from starting is said in one line', () => {
  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const outcome = await run(['serve', '--port', String(port)], { DATABASE_URL: urlOf(database) })
    other.close()
    expectOneLine(outcome, new RegExp(`Port ${port} is in use.*--port`))
  })

  test('a folder that holds something else than a database', async () => {
    await mkdir(join(folder, 'foreign'))
    await writeFile(join(folder, 'foreign/thesis.txt'), 'mine')
    expectOneLine(await run(['serve', '--data-dir', 'foreign']), /foreign.*is not empty.*--data-dir/)
  })

  test('a file in the place of the data folder', async () => {
    await writeFile(join(folder, 'file'), 'mine')
    expectOneLine(await run(['serve', '--data-dir', 'file']), /is not a folder.*--data-dir/)
  })

  test('a database that cannot be reached, without its password', async () => {
    const url = `postgresql://countersign:S3CRET@127.0.0.1:${await findFreePort()}/x`
    const outcome = await run(['serve'], { DATABASE_URL: url })
    expectOneLine(outcome, /Cannot reach PostgreSQL at 127\.0\.0\.1:\d+ .*DATABASE_URL/)
    expect(outcome.stderr).not.toContain('S3CRET')
  })

  test('a database that does not exist', async () => {
    const url = urlOf({ address: { ...database.address, database: 'nowhere' } })
    expectOneLine(
      await run(['serve'], { DATABASE_URL: url }),
      /refuses the connection.*nowhere.*DATABASE_URL/,
    )
  })

  test('migrations that are pending', async () => {
    const empty = await createTestDatabase({ empty: true })
    const outcome = await run(['serve'], { DATABASE_URL: urlOf(empty) })
    await empty.drop()
    expectOneLine(outcome, /0001_spine.*countersign migrate.*COUNTERSIGN_MIGRATE/)
  })

  test.each(['serve', 'migrate'])('a schema newer than the code: %s', async (command) => {
    const newer = await createTestDatabase()
    const client = new pg.Client(newer.address)
    await client.connect()
    await client.query(`insert into kysely_migration values ('9999_future', '2030-01-01T00:00:00Z')`)
    await client.end()
    const outcome = await run([command], { DATABASE_URL: urlOf(newer) })
    await newer.drop()
    expectOneLine(outcome, /newer than this version.*9999_future/)
  })

  test('signing keys that were encrypted under another key', async () => {
    const env = { DATABASE_URL: urlOf(database) }
    const first = { ...env, COUNTERSIGN_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') }
    const second = { ...env, COUNTERSIGN_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 2).toString('base64') }
    await run(['serve', '--port', '0', '--issuer', 'http://localhost'], {
      ...first,
      COUNTERSIGN_METRICS_PORT: '1',
    })
    const client = new pg.Client(database.address)
    await client.connect()
    const ids = async () => (await client.query('select id, status from signing_keys order by id')).rows
    // As if a change were due: it must not be made by whoever cannot read what is there.
    await client.query(
      `update signing_keys set created_at = now() - interval '99 days', activated_at = activated_at - interval '99 days'`,
    )
    const before = await ids()
    expect(before).toHaveLength(6)
    expectOneLine(await run(['serve'], second), /another key-encryption key/)
    expect(await ids()).toEqual(before)
    await client.end()
  })

  test('an operator key file of another installation, when this one has none yet', async () => {
    const [former, present] = [await createTestDatabase(), await createTestDatabase()]
    await run(['bootstrap', '--keys-dir', 'former'], { DATABASE_URL: urlOf(former) })
    const outcome = await run(['serve', '--keys-dir', 'former'], { DATABASE_URL: urlOf(present) })
    await Promise.all([former.drop(), present.drop()])
    expectOneLine(outcome, /former\/operator\.json is the key file of another installation.*--keys-dir/)
  })

  test('in production, a missing key-encryption key', async () => {
    const env = {
      NODE_ENV: 'production',
      DATABASE_URL: urlOf(database),
      COUNTERSIGN_ISSUER: 'https://id.test',
    }
    expectOneLine(await run(['serve', '--keys-dir', 'empty'], env), /no key-encryption key at empty/)
  })
})

test('a configuration with several faults is told all of them at once', async () => {
  const env = { COUNTERSIGN_PORT: 'eighty', COUNTERSIGN_PROT: '1', DATABASE_URL: 'mysql://root:S3CRET@db/x' }
  for (const command of ['serve', 'check-config']) {
    const { code, stderr } = await run([command], env)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /3 faults:\n.*COUNTERSIGN_PROT is not.*\n.*COUNTERSIGN_PORT must.*\n.*DATABASE_URL must/,
    )
    expect(stderr).not.toMatch(/ {4}at |S3CRET/)
  }
})

describe('a server that does not answer as expected is said in one line', () => {
  test('that is not there', async () => {
    const issuer = `http://127.0.0.1:${await findFreePort()}`
    await writeFile(join(folder, 'secret'), 'css_x')
    const args = [
      'introspect',
      'x',
      '--issuer',
      issuer,
      '--resource-server',
      'rs_x',
      '--secret-file',
      'secret',
    ]
    expectOneLine(await run(args), /Cannot reach http:.*ECONNREFUSED.*is the server running\?/)
  })

  test('that is something else', async () => {
    const other = createServer((_req, res) => res.end('<html>')).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const issuer = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const outcome = await run(['demo', '--issuer', issuer])
    other.closeAllConnections()
    other.close()
    expectOneLine(outcome, /no Countersign with that issuer/)
  })
})
