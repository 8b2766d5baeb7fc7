import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { createCaller, type Signer } from '../support/client-assertions.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { runNode } from './programs.ts'

/** Algorithms of keys that integrations hold, each with its own kind of key. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

let server: TestServer
let fixture: Fixture
let caller: Signer & { path: string }
let keyFiles: KeyFiles

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  caller = await createCaller(server, fixture.resourceServer.id)
  keyFiles = createKeyFiles(server)
})

afterAll(async () => {
  keyFiles.remove()
  await server.close()
})

describe('openid-client', () => {
  const discover = (clientId: string, authentication: client.ClientAuth) =>
    client.discovery(new URL(server.issuer), clientId, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [client.allowInsecureRequests],
    })
  const asAccount = ({ accountId, keyId, keyPair }: Fixture) =>
    discover(accountId, client.PrivateKeyJwt({ key: keyPair.privateKey, kid: keyId }))

  test.each(ALGORITHMS)(
    'gets a token with a client assertion by %s, for one resource and scope',
    async (algorithm) => {
      const account = await server.createFixture({ algorithm })
      const config = await asAccount(account)
      const answer = await client.clientCredentialsGrant(config, {
        scope: 'read',
        resource: account.resourceServer.identifier,
      })
      expect(answer).toMatchObject({ token_type: 'bearer', expires_in: 900, scope: 'read' })
      expect((await account.introspect(answer.access_token)).body).toMatchObject({
        active: true,
        client_id: account.accountId,
        key_id: account.keyId,
      })
    },
  )

  test('with an explicit type is understood, and with the token endpoint as audience refused with a reason', async () => {
    const typed = client.PrivateKeyJwt(
      { key: fixture.keyPair.privateKey, kid: fixture.keyId },
      {
        [client.modifyAssertion](header) {
          header.typ = 'client-authentication+jwt'
        },
      },
    )
    const answer = await client.clientCredentialsGrant(await discover(fixture.accountId, typed))
    expect(answer.token_type).toBe('bearer')

    const old = client.PrivateKeyJwt(
      { key: fixture.keyPair.privateKey, kid: fixture.keyId },
      {
        [client.modifyAssertion](_header, payload) {
          payload.aud = [server.issuer, server.tokenEndpoint]
        },
      },
    )
    const refused = client.clientCredentialsGrant(await discover(fixture.accountId, old))
    await expect(refused).rejects.toMatchObject({
      name: 'ResponseBodyError',
      status: 400,
      error: 'invalid_client',
      error_description: 'The aud of a client assertion must be exactly one value: the issuer identifier.',
    })
  })

  test('introspects as an API by key, and ends the token as its account', async () => {
    const api = await discover(
      caller.id,
      client.PrivateKeyJwt({ key: caller.keyPair.privateKey, kid: caller.keyId }),
    )
    const account = await asAccount(fixture)
    const { access_token: token } = await client.clientCredentialsGrant(account)
    expect(await client.tokenIntrospection(api, token)).toMatchObject({
      active: true,
      sub: fixture.accountId,
    })
    await client.tokenRevocation(account, token)
    expect(await client.tokenIntrospection(api, token)).toEqual({ active: false })
    await client.tokenRevocation(account, token)
  })

  test('is told that a token belongs to somebody else', async () => {
    const other = await server.createFixture({ algorithm: 'ES256' })
    const revocation = client.tokenRevocation(await asAccount(fixture), await other.getToken())
    await expect(revocation).rejects.toMatchObject({ status: 400, error: 'invalid_grant' })
  })

  test('introspects by key until the key is deleted, as a program', async () => {
    const own = await createCaller(server, fixture.resourceServer.id)
    const { path } = await keyFiles.download(fixture)
    const pem = join(path, '..', 'caller.pem')
    writeFileSync(pem, own.keyPair.privateKeyPem, { mode: 0o600 })
    const ask = async () =>
      runNode('openid-client/introspect-by-key.js', [], {
        ISSUER: server.issuer,
        CLIENT_ID: own.id,
        KEY_ID: own.keyId,
        PRIVATE_KEY_FILE: pem,
        ACCESS_TOKEN: await fixture.getToken(),
      })
    const answered = await ask()
    expect(answered).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(answered.stdout)).toMatchObject({ active: true, client_id: fixture.accountId })
    await must(server.api('DELETE', own.path))
    const refused = await ask()
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('WWWAuthenticateChallengeError')
  })

  test('ends a token, as a program with a key file', async () => {
    const { path } = await keyFiles.download(fixture)
    const token = await fixture.getToken()
    expect(await runNode('openid-client/revoke.js', [path], { ACCESS_TOKEN: token })).toMatchObject({
      code: 0,
      stderr: '',
    })
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
  })
})

describe('oauth4webapi', () => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  let authorizationServer: oauth.AuthorizationServer

  beforeAll(async () => {
    const issuer = new URL(server.issuer)
    authorizationServer = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    )
  })

  const asAccount = ({ keyId, keyPair }: Fixture) =>
    oauth.PrivateKeyJwt({ key: keyPair.privateKey, kid: keyId })
  const asCaller = () => oauth.PrivateKeyJwt({ key: caller.keyPair.privateKey, kid: caller.keyId })

  async function getToken(account: Fixture): Promise<string> {
    const self = { client_id: account.accountId }
    const answer = await oauth.processClientCredentialsResponse(
      authorizationServer,
      self,
      await oauth.clientCredentialsGrantRequest(
        authorizationServer,
        self,
        asAccount(account),
        { scope: 'read write' },
        insecure,
      ),
    )
    expect(answer.scope).toBe('read write')
    return answer.access_token
  }

  async function introspect(token: string, options: oauth.IntrospectionRequestOptions = {}) {
    const self = { client_id: caller.id }
    const response = await oauth.introspectionRequest(authorizationServer, self, asCaller(), token, {
      ...insecure,
      ...options,
    })
    return { self, response }
  }

  test('gets a token, introspects it by key and ends it', async () => {
    const token = await getToken(fixture)
    const { self, response } = await introspect(token)
    const answer = await oauth.processIntrospectionResponse(authorizationServer, self, response)
    expect(answer).toMatchObject({ active: true, sub: fixture.accountId, scope: 'read write' })

    const account = { client_id: fixture.accountId }
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(authorizationServer, account, asAccount(fixture), token, insecure),
    )
    const after = await introspect(token)
    expect(await oauth.processIntrospectionResponse(authorizationServer, self, after.response)).toEqual({
      active: false,
    })
  })

  test.each(['RS256', 'ES256', 'EdDSA'] as const)(
    '[9701-5-2] takes a signed answer by %s, and verifies it',
    async (algorithm) => {
      await must(
        server.api('PATCH', `/resource-servers/${caller.id}`, { introspection_signing_algorithm: algorithm }),
      )
      const token = await getToken(fixture)
      const { self, response } = await introspect(token, { requestJwtResponse: true })
      expect(response.headers.get('content-type')).toBe('application/token-introspection+jwt')
      const as = { ...self, introspection_signed_response_alg: algorithm }
      const answer = await oauth.processIntrospectionResponse(authorizationServer, as, response)
      expect(answer).toMatchObject({ active: true, sub: fixture.accountId, jti: expect.any(String) })
      // The library checks the claims; the signature only where it is told to.
      await oauth.validateApplicationLevelSignature(authorizationServer, response, insecure)
    },
  )

  test('is refused with a reason when an assertion is sent again', async () => {
    const self = { client_id: fixture.accountId }
    const sent: string[] = []
    const first = await oauth.clientCredentialsGrantRequest(
      authorizationServer,
      self,
      asAccount(fixture),
      {},
      {
        ...insecure,
        [oauth.customFetch]: (url, init) => {
          sent.push(String(init.body))
          return fetch(url, init as RequestInit)
        },
      },
    )
    expect(first.status).toBe(200)
    const again = await server.post('/oauth/token', sent[0] ?? '')
    expect([again.status, again.body.error]).toEqual([400, 'invalid_client'])
    expect(again.body.error_description).toMatch(/jti of the client assertion was used before/)
  })
})
