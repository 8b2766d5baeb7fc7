import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { type Outcome, pathOf } from './programs.ts'
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

function call(bash: Run, scope: string, keyIdSent = keyId): Promise<Outcome> {
  const { tokenEndpoint: TOKEN_ENDPOINT } = server
  return bash([pathOf('shell/client.sh'), pem, scope, api.url], {
    TOKEN_ENDPOINT,
    ACCOUNT_ID: fixture.accountId,
    KEY_ID: keyIdSent,
  })
}

optional.test('openssl and curl call an API with a token for a private key', async (bash) => {
  const called = await call(bash, 'read write')
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyId,
    permissions: ['read', 'write'],
  })
})

optional.test('openssl and curl say why a token is refused', async (bash) => {
  const beyond = await call(bash, 'read admin')
  expect(beyond.code).toBe(1)
  expect(beyond.stderr).toContain('"error":"invalid_scope"')
  const wrongKey = await call(bash, 'read', fixture.keyId)
  expect(wrongKey.code).toBe(1)
  expect(wrongKey.stderr).toContain('"error":"invalid_grant"')
})

optional.test('openssl and curl say that the API wants another permission', async (bash) => {
  const refused = await call(bash, 'write')
  expect(refused.code).toBe(22)
  expect(refused.stderr).toContain('403')
})

optional.test('curl exchanges an API token, and not a wrong one', async (bash) => {
  const { token: apiToken } = await createApiToken(server, fixture)
  const exchange = (API_TOKEN: string) =>
    bash([pathOf('shell/api-token.sh')], {
      TOKEN_ENDPOINT: server.tokenEndpoint,
      ACCOUNT_ID: fixture.accountId,
      API_TOKEN,
    })
  const exchanged = await exchange(apiToken)
  expect(exchanged).toMatchObject({ code: 0, stderr: '' })
  const { access_token: token } = JSON.parse(exchanged.stdout)
  expect((await fixture.introspect(token)).body).toMatchObject({ active: true, scope: 'read write' })

  const refused = await exchange('csk_wrong')
  expect(refused.code).toBe(22)
  expect(refused.stdout).toContain('"error":"invalid_client"')
})

optional.printSkipped('openssl and curl')
