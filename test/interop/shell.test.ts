import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from '@jest/globals'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import type { Outcome } from './programs.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'
import { createOptionalTest, findShell } from './toolchains.ts'

const optional = createOptionalTest(await findShell())

let server: TestServer
let fixture: Fixture
let api: SampleApi
let folder: string
let keyId: string
let pem: string

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  api = await startSampleApi(fixture)
  folder = mkdtempSync(join(tmpdir(), 'countersign-interop-'))
  const { key, private_key: privateKey } = await must(
    server.api('POST', `${fixture.accountPath}/keys`, { type: 'rsa', format: 'pem' }),
  )
  keyId = key.id
  pem = join(folder, 'private-key.pem')
  writeFileSync(pem, privateKey, { mode: 0o600 })
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await api.close()
  await server.close()
})

type Run = (args: readonly string[], env?: Record<string, string>) => Promise<Outcome>

function call(client: Run, scope: string, keyIdSent = keyId): Promise<Outcome> {
  const { tokenEndpoint: TOKEN_ENDPOINT } = server
  return client([pem, scope, api.url], { TOKEN_ENDPOINT, ACCOUNT_ID: fixture.accountId, KEY_ID: keyIdSent })
}

optional.test('openssl and curl call an API with a token for a private key', async (client) => {
  const called = await call(client, 'read write')
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyId,
    permissions: ['read', 'write'],
  })
})

optional.test('openssl and curl say why a token is refused', async (client) => {
  const beyond = await call(client, 'read admin')
  expect(beyond.code).toBe(1)
  expect(beyond.stderr).toContain('"error":"invalid_scope"')
  const wrongKey = await call(client, 'read', fixture.keyId)
  expect(wrongKey.code).toBe(1)
  expect(wrongKey.stderr).toContain('"error":"invalid_grant"')
})

optional.test('openssl and curl say that the API wants another permission', async (client) => {
  const refused = await call(client, 'write')
  expect(refused.code).toBe(22)
  expect(refused.stderr).toContain('403')
})

optional.printSkipped('openssl and curl')
