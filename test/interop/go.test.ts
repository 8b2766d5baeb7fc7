import { afterAll, beforeAll, expect } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'
import { createOptionalTest, findGo } from './toolchains.ts'

const optional = createOptionalTest(await findGo())

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

optional.test('Go’s x/oauth2 calls an API with a token for a generated key file', async (client) => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const called = await client([path, 'read write', api.url])
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })
})

optional.test(
  'Go’s x/oauth2 makes the assertion out to the token endpoint when the key file has no audience',
  async (client) => {
    const { keyFile } = await keyFiles.download(fixture)
    const called = await client([keyFiles.save(keyFile, { audience: '' }), 'read', api.url])
    expect(called).toMatchObject({ code: 0, stderr: '' })
  },
)

optional.test('Go’s x/oauth2 with another audience in the key file is refused', async (client) => {
  const { keyFile } = await keyFiles.download(fixture)
  const elsewhere = keyFiles.save(keyFile, { audience: 'https://oauth2.googleapis.com/token' })
  const refused = await client([elsewhere, 'read', api.url])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('invalid_grant')
})

optional.test('Go’s x/oauth2 is refused by an API that wants another permission', async (client) => {
  const { path } = await keyFiles.download(fixture)
  const refused = await client([path, 'write', api.url])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('403 Forbidden')
})

optional.printSkipped('Go’s x/oauth2')
