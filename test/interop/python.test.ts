import { afterAll, beforeAll, expect } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { changed, pathOf } from './programs.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'
import { createOptionalTest, findPython } from './toolchains.ts'

const PROGRAM = 'python/client.py'
const AUDIENCE = 'additional_claims={"aud": key_file["token_uri"]},'
const optional = createOptionalTest(await findPython())

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

optional.test('Python’s google-auth calls an API with a token for a generated key file', async (python) => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const called = await python([pathOf(PROGRAM), path, 'read write', api.url])
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })
})

optional.test('Python’s google-auth without an audience of its own is refused', async (python) => {
  const { path } = await keyFiles.download(fixture)
  const refused = await python(['-c', changed(PROGRAM, AUDIENCE, ''), path, 'read', api.url])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('invalid_grant')
})

optional.test('Python’s google-auth cannot become somebody else', async (python) => {
  const { path } = await keyFiles.download(fixture)
  const asked = 'answer = AuthorizedSession(credentials).get(api)'
  const source = changed(
    PROGRAM,
    asked,
    `credentials = credentials.with_subject("someone@example.com")\n${asked}`,
  )
  const refused = await python(['-c', source, path, 'read', api.url])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('invalid_grant')
})

optional.printSkipped('Python’s google-auth')
