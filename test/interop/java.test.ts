import { afterAll, beforeAll, expect } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'
import { createOptionalTest, findJava } from './toolchains.ts'

const optional = createOptionalTest(await findJava())

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

optional.test('Java calls an API with a token for a generated key file', async (client) => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const called = await client([path, 'read write', api.url])
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })
})

optional.test('Java with a key that was disabled is refused', async (client) => {
  const { path, keyFile } = await keyFiles.download(fixture)
  await server.api('PATCH', `${fixture.accountPath}/keys/${keyFile.private_key_id}`, { status: 'disabled' })
  const refused = await client([path, 'read', api.url])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('invalid_grant')
})

optional.printSkipped('Java')
