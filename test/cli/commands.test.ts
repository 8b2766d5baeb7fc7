import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { connectDatabase } from '../../src/database/connect.ts'
import { makeFolder, runCommand, type ServerProcess, startProcess, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

jest.setTimeout(60_000)

const COMMANDS = ['serve', 'migrate', 'bootstrap', 'token', 'introspect', 'check-config', 'demo']

let folder: string
let database: TestDatabase
let env: Record<string, string>

beforeAll(async () => {
  folder = await makeFolder()
  database = await createTestDatabase({ empty: true })
  env = { DATABASE_URL: urlOf(database) }
})

afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const run = (args: readonly string[], more: { env?: Record<string, string>; stdin?: string } = {}) =>
  runCommand(args, { cwd: folder, ...more, env: { ...env, ...more.env } })

test.each(COMMANDS)('%s --help explains the command with an example', async (command) => {
  const { code, stdout } = await runCommand([command, '--help'], { cwd: folder })
  expect(code).toBe(0)
  expect(stdout).toMatch(
    new RegExp(`Usage: countersign ${command}[\\s\\S]*Example:\\n  \\$ .*countersign ${command}`),
  )
})

test('check-config shows every value with its origin, and no secret', async () => {
  await writeFile(join(folder, '.env'), 'COUNTERSIGN_LOG_LEVEL=debug\nCOUNTERSIGN_HOST=::1\n')
  const { code, stdout } = await run(['check-config', '--port', '9000'], {
    env: {
      DATABASE_URL: 'postgresql://user:S3CRET@db.internal/x?sslpassword=S3CRET',
      COUNTERSIGN_KEY_ENCRYPTION_KEY: 'S3CRET',
      COUNTERSIGN_HOST: '127.0.0.2',
    },
  })
  await rm(join(folder, '.env'))
  expect(code).toBe(0)
  expect(stdout).not.toContain('S3CRET')
  for (const line of [
    'COUNTERSIGN_PORT=9000  (command line)',
    'COUNTERSIGN_HOST=127.0.0.2  (environment)',
    'COUNTERSIGN_LOG_LEVEL=debug  (.env)',
    'COUNTERSIGN_DATABASE_POOL_SIZE=10  (default)',
    'COUNTERSIGN_METRICS_PORT  (not set)',
    'DATABASE_URL=postgresql://user:***@db.internal/x?sslpassword=***  (environment)',
    'COUNTERSIGN_KEY_ENCRYPTION_KEY=***  (environment)',
    'The issuer is http://localhost:9000',
  ]) {
    expect(stdout).toContain(line)
  }
})

test('migrate applies what is pending, once', async () => {
  expect(await run(['migrate'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Applied 0001_spine\.\n/),
  })
  expect(await run(['migrate'])).toMatchObject({ code: 0, stdout: 'The database schema is up to date.\n' })
})

describe('bootstrap', () => {
  const production = {
    NODE_ENV: 'production',
    COUNTERSIGN_ISSUER: 'https://id.example.test',
  }

  test('in production makes no private key, and says what to do', async () => {
    const { code, stderr } = await run(['bootstrap'], { env: production })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^countersign: .*countersign bootstrap --public-key FILE\n$/)
    await expect(stat(join(folder, 'keys'))).rejects.toThrow('ENOENT')
  })

  test('registers a public key in every accepted form, and the same one again is no fault', async () => {
    const forms = await writePublicKeys()
    for (const form of forms) {
      const first = await run(['bootstrap', '--public-key', form], { env: production })
      expect(first).toMatchObject({
        code: 0,
        stderr: '',
        stdout: expect.stringContaining('Registered the key: key_'),
      })
    }
    const again = await run(['bootstrap', '--public-key', forms[0] ?? ''], { env: production })
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('registered already: key_') })
    expect(await listKeyTypes()).toEqual(forms.map(() => 'public_key'))
  })

  test('refuses a private key without repeating it', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await writeFile(join(folder, 'private.pem'), pem)
    const { code, stderr } = await run(['bootstrap', '--public-key', 'private.pem'], { env: production })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^countersign: The key is refused: This is a private key.*\n$/)
    expect(stderr).not.toContain(pem.split('\n')[1])
  })

  test('outside of production writes a key file, also in place of one that was lost, but never over one', async () => {
    const path = join(folder, 'keys/operator.json')
    const first = await run(['bootstrap'])
    expect(first.stdout).toContain(`Wrote a new key of the operator to ${path}`)
    const written = await readFile(path, 'utf8')
    expect((await run(['bootstrap'])).stdout).toContain('is there already')
    expect(await readFile(path, 'utf8')).toBe(written)
    await rm(path)
    await run(['bootstrap'])
    expect(JSON.parse(await readFile(path, 'utf8')).private_key_id).not.toBe(
      JSON.parse(written).private_key_id,
    )
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(folder, 'keys'))).toEqual(['operator.json'])
  })
})

describe('with a server', () => {
  let server: ServerProcess
  let token: string

  beforeAll(async () => {
    server = await startProcess({ cwd: folder, env })
  })

  afterAll(() => server.end('SIGTERM'))

  test('token prints nothing but the token', async () => {
    const args = ['token', '--key-file', 'keys/operator.json', '--issuer', server.issuer]
    const { code, stdout, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/)
    token = stdout.trim()
  })

  test('token --decode prints header and claims, narrowed to what was asked for', async () => {
    const args = ['--key-file', 'keys/operator.json', '--issuer', server.issuer, '--scope', 'audit:read']
    const { stdout } = await run(['token', ...args, '--resource', `${server.issuer}/api/v1`, '--decode'])
    expect(JSON.parse(stdout).claims).toMatchObject({ scope: 'audit:read', aud: `${server.issuer}/api/v1` })
  })

  test('token with a private key of one’s own gets a token for the key that bootstrap registered', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    await writeFile(join(folder, 'own.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
    await writeFile(join(folder, 'own.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const { stdout } = await run(['bootstrap', '--public-key', 'own.pub', '--issuer', server.issuer])
    const command = /token --private-key[\s\S]*/.exec(stdout)?.[0] ?? ''
    const args = command
      .replace('PRIVATE_KEY.pem', 'own.pem')
      .split(/[\s\\]+/)
      .filter(Boolean)
    expect(await run(args)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^eyJ/) })
  })

  test('token tells a refusal in the server’s words, with the id of the request', async () => {
    const args = [
      'token',
      '--key-file',
      'keys/operator.json',
      '--issuer',
      server.issuer,
      '--scope',
      'moon:land',
    ]
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^countersign: .*\/oauth\/token gives no token: 400 invalid_scope: .* \(request id req_\S+\)\n$/,
    )
  })

  test('introspect asks with a secret or with a token, and prints the answer', async () => {
    const bearer = (await run(['token', '--key-file', 'keys/operator.json', '--issuer', server.issuer]))
      .stdout
    await writeFile(join(folder, 'bearer'), bearer)
    const asBearer = ['introspect', '--issuer', server.issuer, '--bearer-file', 'bearer']
    const answer = await run(asBearer, { stdin: `${token}\n` })
    expect(JSON.parse(answer.stdout)).toMatchObject({ active: true, iss: server.issuer })
    expect(JSON.parse((await run([...asBearer, 'nonsense'])).stdout)).toEqual({ active: false })

    const { id, secret } = await createResourceServer()
    await writeFile(join(folder, 'secret'), `${secret}\n`)
    const asServer = [
      'introspect',
      '--issuer',
      server.issuer,
      '--resource-server',
      id,
      '--secret-file',
      'secret',
    ]
    expect(JSON.parse((await run([...asServer, token])).stdout)).toEqual({ active: false })
    await writeFile(join(folder, 'secret'), 'css_wrong')
    expect(await run([...asServer, token])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/401 invalid_client.*request id/),
    })
  })

  test('demo tells the whole story with the running server, and leaves nothing behind', async () => {
    const before = await countObjects()
    const { port } = new URL(server.issuer)
    // The key file was written when the server had another port.
    const { code, stdout, stderr } = await run(['demo', '--port', port])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Using the server at ${server.issuer}`)
    expect(stdout).toMatch(/^12\. /m)
    expect(stdout).toMatch(
      /invalid_scope[\s\S]*\/notes → 200[\s\S]*invalid_grant[\s\S]*\/notes → 401 invalid_token/,
    )
    expect(await countObjects()).toEqual(before)
  })

  async function createResourceServer(): Promise<{ id: string; secret: string }> {
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const response = await fetch(`${server.issuer}/api/v1${path}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      })
      return (await response.json()) as Record<string, string>
    }
    const { id = '' } = await post('/resource-servers', { identifier: 'https://api.test', name: 'API' })
    const { client_secret = '' } = await post(`/resource-servers/${id}/secrets`, { name: 'test' })
    return { id, secret: client_secret }
  }
})

test('demo without a server starts one, and removes it', async () => {
  const base = await mkdtemp(join(tmpdir(), 'countersign-command-demo-'))
  execFileSync('chmod', ['755', base])
  const { code, stdout, stderr } = await runCommand(['demo', '--port', '1'], {
    cwd: folder,
    env: { TMPDIR: base },
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('starting one for the demo')
  expect(await readdir(base)).toEqual([])
  await rm(base, { recursive: true })
})

/** One key in each form that `--public-key` takes; answers the names of the files. */
async function writePublicKeys(): Promise<string[]> {
  const spki = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    type: 'spki',
    format: 'pem',
  })
  const pkcs1 = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    type: 'pkcs1',
    format: 'pem',
  })
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  await writeFile(join(folder, 'spki.pem'), spki)
  await writeFile(join(folder, 'pkcs1.pem'), pkcs1)
  await writeFile(join(folder, 'jwk.json'), JSON.stringify(jwk))
  return ['spki.pem', 'pkcs1.pem', 'jwk.json']
}

async function listKeyTypes(): Promise<string[]> {
  return (await query<{ type: string }>('select type from keys order by id')).map((row) => row.type)
}

function countObjects(): Promise<unknown[]> {
  return query(`select (select count(*) from organizations where status <> 'deleted') as organizations,
    (select count(*) from accounts where status <> 'deleted') as accounts,
    (select count(*) from resource_servers) as resource_servers`)
}

async function query<Row>(sql: string): Promise<Row[]> {
  const connection = connectDatabase(database.address, { maxConnections: 1, onIdleError: () => undefined })
  const { rows } = await connection.pool.query(sql)
  await connection.close()
  return rows as Row[]
}
