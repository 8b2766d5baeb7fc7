import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { changed, run, runNode } from './programs.ts'

const PROGRAM = 'google-auth-library/client.js'

let server: TestServer
let fixture: Fixture
let keyFiles: KeyFiles

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  keyFiles = createKeyFiles(server)
})

afterAll(async () => {
  keyFiles.remove()
  await server.close()
})

test('google-auth-library gets a token for a generated key file, and it is introspected active', async () => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const got = await runNode(PROGRAM, [path, 'read write'])
  expect(got).toMatchObject({ code: 0, stderr: '' })
  expect((await fixture.introspect(got.stdout)).body).toMatchObject({
    active: true,
    client_id: fixture.accountId,
    key_id: keyFile.private_key_id,
    scope: 'read write',
  })
})

test('google-auth-library without an audience of its own makes the assertion out to Google, and is refused', async () => {
  const { path } = await keyFiles.download(fixture)
  const source = changed(PROGRAM, 'additionalClaims: { aud: keyFile.token_uri },', '')
  const refused = await run(process.execPath, ['--input-type=module', '--eval', source, '-', path, 'read'])
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
  const refused = await runNode(PROGRAM, [path, 'read'])
  expect(refused.stderr).toContain('invalid_grant')
  expect(countRequests()).toBe(before + 1)
})
