import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { changed, run, runNode } from './programs.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'

const PROGRAM = 'google-auth-library/client.js'

let server: TestServer
let fixture: Fixture
let api: SampleApi
let keyFiles: KeyFiles

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  api = await startSampleApi(fixture)
  keyFiles = createKeyFiles(server)
})

afterAll(async () => {
  keyFiles.remove()
  await api.close()
  await server.close()
})

test('google-auth-library calls an API with a token for a generated key file', async () => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const called = await runNode(PROGRAM, [path, 'read write', api.url])
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })
})

test('google-auth-library without an audience of its own makes the assertion out to Google, and is refused', async () => {
  const { path } = await keyFiles.download(fixture)
  const source = changed(PROGRAM, 'additionalClaims: { aud: keyFile.token_uri },', '')
  const refused = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    source,
    '-',
    path,
    'read',
    api.url,
  ])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('invalid_grant')
  expect(server.logs()).toContainEqual(
    expect.objectContaining({
      reason: 'audience_mismatch',
      detail: expect.objectContaining({
        accountId: fixture.accountId,
        received: 'https://oauth2.googleapis.com/token',
      }),
    }),
  )
})

test('google-auth-library with a deleted key is refused, and asks once', async () => {
  const { path, keyFile } = await keyFiles.download(fixture)
  await server.api('DELETE', `${fixture.accountPath}/keys/${keyFile.private_key_id}`)
  const countRequests = () => server.logs().filter((line) => line.path === '/oauth/token').length
  const before = countRequests()
  const refused = await runNode(PROGRAM, [path, 'read', api.url])
  expect(refused.stderr).toContain('invalid_grant')
  expect(countRequests()).toBe(before + 1)
})
