import { afterAll, beforeAll, expect, test } from '@jest/globals'
import * as client from 'openid-client'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { runNode } from './programs.ts'
import { type SampleApi, startSampleApi } from './sample-api.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

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

function discover(authentication: client.ClientAuth): Promise<client.Configuration> {
  return client.discovery(new URL(server.issuer), fixture.resourceServer.id, undefined, authentication, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
}

function introspectAsProgram(token: string, { resourceServer }: Fixture) {
  return runNode('openid-client/introspect.js', [], {
    ISSUER: server.issuer,
    CLIENT_ID: resourceServer.id,
    CLIENT_SECRET: resourceServer.secret,
    ACCESS_TOKEN: token,
  })
}

test('openid-client calls an API as a client with a key file, until the key is deleted', async () => {
  const { path, keyFile } = await keyFiles.download(fixture)
  const call = () => runNode('openid-client/client.js', [path, 'read write', api.url])

  const called = await call()
  expect(called).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(called.stdout)).toEqual({
    caller: fixture.accountId,
    key: keyFile.private_key_id,
    permissions: ['read', 'write'],
  })

  await server.api('DELETE', `${fixture.accountPath}/keys/${keyFile.private_key_id}`)
  const refused = await call()
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('invalid_client')
})

test('openid-client introspects a token for its API, until the account is deleted', async () => {
  const other = await server.createFixture({ algorithm: 'ES256' })
  const token = await other.getToken({ scope: 'read' })
  const live = await introspectAsProgram(token, other)
  expect(live).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(live.stdout)).toMatchObject({
    active: true,
    client_id: other.accountId,
    key_id: other.keyId,
    scope: 'read',
    aud: other.resourceServer.identifier,
  })

  await server.api('DELETE', other.accountPath)
  const ended = await introspectAsProgram(token, other)
  expect(JSON.parse(ended.stdout)).toEqual({ active: false })
})

test('openid-client discovers the OpenID Connect location too', async () => {
  const config = await client.discovery(new URL(server.issuer), 'any', undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  })
  expect(config.serverMetadata().token_endpoint).toBe(server.tokenEndpoint)
})

test('openid-client reads the error code of a replayed assertion', async () => {
  const config = await client.discovery(new URL(server.issuer), fixture.accountId, undefined, client.None(), {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const assertion = await fixture.assertion()
  const first = await client.genericGrantRequest(config, JWT_BEARER, { assertion, scope: 'read' })
  expect(first).toMatchObject({ token_type: 'bearer', expires_in: 900, scope: 'read' })

  const second = client.genericGrantRequest(config, JWT_BEARER, { assertion, scope: 'read' })
  await expect(second).rejects.toMatchObject({
    name: 'ResponseBodyError',
    status: 400,
    error: 'invalid_grant',
    error_description: 'The jti of the assertion was used before. Sign a new assertion for every request.',
  })
})

test('openid-client sees the challenge when the secret of a resource server is wrong', async () => {
  const config = await discover(client.ClientSecretBasic('css_wrong'))
  await expect(client.tokenIntrospection(config, 'cst_anything')).rejects.toMatchObject({
    name: 'WWWAuthenticateChallengeError',
    status: 401,
    cause: [{ scheme: 'basic', parameters: { realm: 'countersign' } }],
  })
})

test('openid-client is told that a token which nobody issued is not active', async () => {
  const config = await discover(client.ClientSecretBasic(fixture.resourceServer.secret))
  expect(await client.tokenIntrospection(config, 'cst_anything')).toEqual({ active: false })
})
