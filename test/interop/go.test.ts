import { afterAll, beforeAll, expect } from '@jest/globals'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { createOptionalTest, findGo } from './toolchains.ts'

const optional = createOptionalTest(await findGo())

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

optional.test(
  'Go’s x/oauth2 gets a token for a generated key file, and it is introspected active',
  async (client) => {
    const { path, keyFile } = await keyFiles.download(fixture)
    const got = await client([path, 'read write'])
    expect(got).toMatchObject({ code: 0, stderr: '' })
    expect((await fixture.introspect(got.stdout)).body).toMatchObject({
      active: true,
      client_id: fixture.accountId,
      key_id: keyFile.private_key_id,
      scope: 'read write',
    })
  },
)

optional.test(
  'Go’s x/oauth2 makes the assertion out to the token endpoint when the key file has no audience',
  async (client) => {
    const { keyFile } = await keyFiles.download(fixture)
    const got = await client([keyFiles.save(keyFile, { audience: '' }), 'read'])
    expect(got).toMatchObject({ code: 0, stderr: '' })
  },
)

optional.test('Go’s x/oauth2 with another audience in the key file is refused', async (client) => {
  const { keyFile } = await keyFiles.download(fixture)
  const elsewhere = keyFiles.save(keyFile, { audience: 'https://oauth2.googleapis.com/token' })
  const refused = await client([elsewhere, 'read'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('invalid_grant')
})

optional.printSkipped('Go’s x/oauth2')
