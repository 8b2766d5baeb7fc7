import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles } from './key-files.ts'
import { runNode, startNode } from './programs.ts'
import { startSampleApi } from './sample-api.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

describe.each(['ES256', 'RS256', 'EdDSA'] as const)(
  'an API that checks %s tokens with oauth4webapi',
  (signingAlgorithm) => {
    let fixture: Fixture
    let api: { url: string; stop(): void }

    beforeAll(async () => {
      fixture = await server.createFixture({ algorithm: 'ES256', signingAlgorithm })
      api = await startNode('oauth4webapi/resource-server.js', {
        ISSUER: server.issuer,
        AUDIENCE: fixture.resourceServer.identifier,
      })
    })

    afterAll(() => api.stop())

    const call = (token: string) => fetch(api.url, { headers: { authorization: `Bearer ${token}` } })

    test(`[9068-2.1-1][9068-2.2-1] validateJwtAccessToken accepts our ${signingAlgorithm} tokens`, async () => {
      const answer = await call(await fixture.getToken())
      expect(answer.status).toBe(200)
      expect(await answer.json()).toEqual({ caller: fixture.accountId, permissions: ['read', 'write'] })
    })

    test('a token for another resource server is refused', async () => {
      const other = await server.createFixture({ algorithm: 'ES256', signingAlgorithm })
      expect((await call(await other.getToken())).status).toBe(401)
    })

    test('a token whose payload was changed is refused', async () => {
      const [header, payload = '', signature] = (await fixture.getToken()).split('.')
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
      const changed = Buffer.from(JSON.stringify({ ...claims, scope: 'read write admin' })).toString(
        'base64url',
      )
      expect((await call([header, changed, signature].join('.'))).status).toBe(401)
    })

    test('an assertion is no access token', async () => {
      const assertion = await fixture.assertion({ aud: fixture.resourceServer.identifier, client_id: 'x' })
      expect((await call(assertion)).status).toBe(401)
    })
  },
)

test('oauth4webapi calls an API with a token for a key file, and not once the key is deleted', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const api = await startSampleApi(fixture)
  const keyFiles = createKeyFiles(server)
  const { path, keyFile } = await keyFiles.download(fixture)
  const call = (scope: string) => runNode('oauth4webapi/client.js', [path, scope, api.url])

  const called = await call('read write')
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })
  expect((await call('read admin')).stderr).toContain('invalid_scope')
  await server.api('DELETE', `${fixture.accountPath}/keys/${keyFile.private_key_id}`)
  expect((await call('read')).stderr).toContain('invalid_grant')
  keyFiles.remove()
  await api.close()
})

describe('introspection with oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true }

  async function introspect(fixture: Fixture, token: string, secret = fixture.resourceServer.secret) {
    const issuer = new URL(server.issuer)
    const authorizationServer = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    )
    const self = { client_id: fixture.resourceServer.id }
    const authentication = oauth.ClientSecretBasic(secret)
    return oauth.processIntrospectionResponse(
      authorizationServer,
      self,
      await oauth.introspectionRequest(authorizationServer, self, authentication, token, insecure),
    )
  }

  test.each(['jwt', 'opaque'] as const)(
    'a live %s token is active, a deleted account’s is not',
    async (tokenFormat) => {
      const fixture = await server.createFixture({ algorithm: 'ES256', tokenFormat })
      const token = await fixture.getToken()
      expect(await introspect(fixture, token)).toMatchObject({ active: true, sub: fixture.accountId })
      await server.api('DELETE', fixture.accountPath)
      expect(await introspect(fixture, token)).toEqual({ active: false })
    },
  )

  test('a wrong secret is refused with a challenge', async () => {
    const fixture = await server.createFixture({ algorithm: 'ES256' })
    await expect(introspect(fixture, 'cst_anything', 'css_wrong')).rejects.toMatchObject({ status: 401 })
  })
})
