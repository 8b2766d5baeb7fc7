import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { makeFolder, runCommand, type ServerProcess, startProcess } from '../support/command.ts'
import { findSystemPostgres, type SystemPostgres, startSystemPostgres } from '../support/debian-postgres.ts'
import { signWithKeyFile } from '../support/nodes.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const bin = findSystemPostgres()
const withPostgres = bin === undefined ? describe.skip : describe

withPostgres('a backup by pg_dump that is put back by pg_restore', () => {
  let folder: string
  let postgres: SystemPostgres
  let server: ServerProcess | undefined
  let issuer: string
  let keyFile: Record<string, string>
  /** Used after the backup was made: the restored database knows nothing of them. */
  const later: string[] = []

  const serve = async (database: string, ...args: string[]) => {
    const env = { DATABASE_URL: postgres.urlOf(database), COUNTERSIGN_MIGRATE: 'true' }
    const port = issuer === undefined ? undefined : Number(new URL(issuer).port)
    server = await startProcess({ cwd: folder, env, args, ...(port !== undefined && { port }) })
    issuer = server.issuer
  }
  const stop = async () => {
    expect((await server?.end('SIGTERM'))?.code).toBe(0)
    server = undefined
  }
  const sign = (claims: Record<string, unknown> = {}) => signWithKeyFile(keyFile, { aud: issuer, ...claims })
  const post = async (path: string, form: Record<string, string>, headers: Record<string, string> = {}) => {
    const answer = await fetch(issuer + path, { method: 'POST', headers, body: new URLSearchParams(form) })
    return { status: answer.status, body: (await answer.json()) as Record<string, string> }
  }
  const exchange = (assertion: string) => post('/oauth/token', { grant_type: JWT_BEARER, assertion })
  const now = () => Math.floor(Date.now() / 1000)

  beforeAll(async () => {
    folder = await makeFolder()
    postgres = await startSystemPostgres(bin ?? '')
    await postgres.createDatabase('countersign')
    await postgres.createDatabase('restored')
    await serve('countersign')
    keyFile = JSON.parse(readFileSync(join(folder, 'keys/operator.json'), 'utf8'))
    expect((await exchange(await sign())).status).toBe(200)
    postgres.run('pg_dump', 'countersign', ['--format=custom', `--file=${join(folder, 'backup.dump')}`])
    for (let index = 0; index < 3; index++) {
      const assertion = await sign()
      expect((await exchange(assertion)).status).toBe(200)
      expect((await exchange(assertion)).body).toMatchObject({ error: 'invalid_grant' })
      later.push(assertion)
    }
    await stop()
    postgres.run('pg_restore', 'restored', ['--no-owner', '--exit-on-error', join(folder, 'backup.dump')])
  })
  afterAll(async () => {
    await server?.end('SIGKILL')
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('is of a version that Countersign says it runs on', () => {
    expect(postgres.version).toBeGreaterThanOrEqual(150_000)
  })

  test('would let assertions that were used since be used again, if nobody said that it was put back', async () => {
    await serve('restored')
    expect((await exchange(later[0] ?? '')).status).toBe(200)
    await stop()
  })

  test('refuses them when it is started with --after-restore, and so does the next start without', async () => {
    await serve('restored', '--after-restore')
    const refused = { status: 400, body: { error: 'invalid_grant' } }
    expect(await exchange(later[1] ?? '')).toMatchObject(refused)
    const first = server
    await stop()
    // Log lines leave in the background.
    expect(first?.stdout()).toContain('"reason":"assertion_before_restoration"')
    await serve('restored')
    expect(await exchange(later[1] ?? '')).toMatchObject(refused)
    expect(await exchange(later[2] ?? '')).toMatchObject(refused)
    expect(await exchange(await sign({ iat: undefined }))).toMatchObject(refused)
  })

  test('issues and introspects, with the key-encryption key of before', async () => {
    const { status, body } = await exchange(await sign({ iat: now() + 29, exp: now() + 300 }))
    expect(status).toBe(200)
    const authorization = `Bearer ${body.access_token}`
    expect((await fetch(`${issuer}/api/v1/me`, { headers: { authorization } })).status).toBe(200)
    const other = await exchange(await sign({ iat: now() + 29, exp: now() + 300 }))
    const asked = await post('/oauth/introspect', { token: other.body.access_token ?? '' }, { authorization })
    expect(asked).toMatchObject({ status: 200, body: { active: true } })
  })

  test('tells the trail, whose chain holds', async () => {
    const client = new pg.Client(postgres.urlOf('restored'))
    await client.connect()
    const { rows } = await client.query(
      `select actor_kind from audit_events where action = 'installation.restored'`,
    )
    await client.end()
    expect(rows).toEqual([{ actor_kind: 'system' }])
    const env = { DATABASE_URL: postgres.urlOf('restored') }
    expect(await runCommand(['audit', 'verify'], { cwd: folder, env })).toMatchObject({ code: 0 })
  })

  test('is of no use without the key-encryption key', async () => {
    await stop()
    const env = {
      DATABASE_URL: postgres.urlOf('restored'),
      COUNTERSIGN_KEY_ENCRYPTION_KEY: Buffer.alloc(32, 3).toString('base64'),
    }
    const { code, stderr } = await runCommand(['serve', '--port', new URL(issuer).port], { cwd: folder, env })
    expect(code).toBe(1)
    expect(stderr).toContain('encrypted under another key-encryption key')
  })
})
