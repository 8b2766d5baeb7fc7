import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import * as proofs from 'dpop'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { decode } from '../support/jwt.ts'
import { managementServerId } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { type ProofCheckingApi, startProofCheckingApi } from './dpop-api.ts'
import { createKeyFiles, type KeyFiles } from './key-files.ts'
import { runNode } from './programs.ts'

/** DPoP by clients and an API that know nothing of each other but RFC 9449. */

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const insecure = { [oauth.allowInsecureRequests]: true }

let server: TestServer
/** May read both the sample API and, at the management API, the trail. */
let fixture: Fixture
let keyFiles: KeyFiles
let authorizationServer: oauth.AuthorizationServer
let api: ProofCheckingApi

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  const { permissions } = await must(server.api('GET', fixture.accountPath))
  const mayReadTrail = { resource_server_id: await managementServerId(server), permission: 'audit:read' }
  await must(server.api('PATCH', fixture.accountPath, { permissions: [...permissions, mayReadTrail] }))
  keyFiles = createKeyFiles(server)
  const issuer = new URL(server.issuer)
  authorizationServer = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
  )
  api = await startProofCheckingApi(authorizationServer, fixture.resourceServer.identifier)
})

afterAll(async () => {
  keyFiles.remove()
  await api.close()
  await server.close()
})

const me = () => new URL(`${server.issuer}/api/v1/me`)

describe('openid-client', () => {
  async function discover(authentication: client.ClientAuth) {
    return client.discovery(new URL(server.issuer), fixture.accountId, undefined, authentication, {
      algorithm: 'oauth2',
      execute: [client.allowInsecureRequests],
    })
  }
  const sign = () => client.PrivateKeyJwt({ key: fixture.keyPair.privateKey, kid: fixture.keyId })

  test('as a program with a key file calls an API that checks the proof', async () => {
    const { path } = await keyFiles.download(fixture)
    const called = await runNode('openid-client/dpop.js', [path, 'read write', api.url])
    expect(called).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(called.stdout)).toEqual({
      caller: fixture.accountId,
      cnf: { jkt: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) },
    })
  })

  test.each(['ES256', 'Ed25519', 'PS256', 'RS256'])(
    'gets a token with an assertion and a proof by %s, and calls the management API',
    async (algorithm) => {
      const config = await discover(client.None())
      const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(algorithm))
      const parameters = { assertion: await fixture.assertion(), resource: `${server.issuer}/api/v1` }
      const tokens = await client.genericGrantRequest(config, JWT_BEARER, parameters, { DPoP })
      expect(tokens).toMatchObject({ token_type: 'dpop', scope: 'audit:read' })
      expect(decode(tokens.access_token).claims.cnf).toEqual({ jkt: await DPoP.calculateThumbprint() })

      for (let call = 0; call < 2; call++) {
        const answer = await client.fetchProtectedResource(
          config,
          tokens.access_token,
          me(),
          'GET',
          null,
          undefined,
          { DPoP },
        )
        expect((await toAnswer(answer)).body.account.id).toBe(fixture.accountId)
      }
    },
  )

  test('gets a token by client_credentials with a signed assertion, and is refused with another key', async () => {
    const config = await discover(sign())
    const [mine, stolen] = [
      client.getDPoPHandle(config, await client.randomDPoPKeyPair()),
      client.getDPoPHandle(config, await client.randomDPoPKeyPair()),
    ]
    const resource = `${server.issuer}/api/v1`
    const { access_token: token } = await client.clientCredentialsGrant(config, { resource }, { DPoP: mine })
    const call = (options: client.DPoPOptions) =>
      client.fetchProtectedResource(config, token, me(), 'GET', null, undefined, options)
    expect((await call({ DPoP: mine })).status).toBe(200)
    await expect(call({ DPoP: stolen })).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token' } }],
    })
    await expect(call({})).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token' } }],
    })
  })
})

describe('oauth4webapi', () => {
  test('is asked for a nonce once at each server, and then has it', async () => {
    const self: oauth.Client = { client_id: fixture.accountId }
    const DPoP = oauth.DPoP(self, await oauth.generateKeyPair('ES256'))
    const request = async (assertion: string) =>
      oauth.processGenericTokenEndpointResponse(
        authorizationServer,
        self,
        await oauth.genericTokenEndpointRequest(
          authorizationServer,
          self,
          oauth.None(),
          JWT_BEARER,
          { assertion, resource: `${server.issuer}/api/v1` },
          { DPoP, ...insecure },
        ),
      )
    const call = (token: string) =>
      oauth.protectedResourceRequest(token, 'GET', me(), undefined, null, { DPoP, ...insecure })

    const assertion = await fixture.assertion()
    const asked = await request(assertion).catch((error: unknown) => error)
    expect(oauth.isDPoPNonceError(asked)).toBe(true)
    const { access_token: token } = await request(assertion)
    await request(await fixture.assertion())

    const askedAgain = await call(token).catch((error: unknown) => error)
    expect(oauth.isDPoPNonceError(askedAgain)).toBe(true)
    expect((await call(token)).status).toBe(200)
    expect((await call(token)).status).toBe(200)
  })

  test('as an API refuses a bound token as Bearer, and a proof of another key', async () => {
    const pair = await proofs.generateKeyPair('ES256')
    const token = await tokenFor(pair)
    const callWith = async (holder: proofs.KeyPair) =>
      fetch(api.url, {
        headers: {
          authorization: `DPoP ${token}`,
          dpop: await proofs.generateProof(holder, api.url, 'GET', undefined, token),
        },
      })
    expect((await callWith(pair)).status).toBe(200)
    expect((await callWith(await proofs.generateKeyPair('ES256'))).status).toBe(401)
    expect((await fetch(api.url, { headers: { authorization: `Bearer ${token}` } })).status).toBe(401)
  })
})

/** A token for the sample API, bound to a key pair of the package `dpop`. */
async function tokenFor(pair: proofs.KeyPair): Promise<string> {
  const ask = async (nonce?: string) => {
    const dpop = await proofs.generateProof(pair, server.tokenEndpoint, 'POST', nonce)
    const form = {
      grant_type: JWT_BEARER,
      assertion: await fixture.assertion(),
      resource: fixture.resourceServer.identifier,
    }
    return server.post('/oauth/token', form, { dpop })
  }
  const asked = await ask()
  expect(asked).toMatchObject({ status: 400, body: { error: 'use_dpop_nonce' } })
  return (await must(ask(asked.headers.get('dpop-nonce') ?? ''))).access_token
}

describe('dpop', () => {
  test.each(['ES256', 'Ed25519', 'RS256', 'PS256'] as const)(
    'a token is bound to the thumbprint that the library calculates for %s',
    async (algorithm) => {
      const pair = await proofs.generateKeyPair(algorithm)
      const token = await tokenFor(pair)
      const jkt = await proofs.calculateThumbprint(pair.publicKey)
      expect(decode(token).claims.cnf).toEqual({ jkt })
      expect((await fixture.introspect(token)).body).toMatchObject({ token_type: 'DPoP', cnf: { jkt } })
    },
  )

  test('a proof of the library is good once', async () => {
    const pair = await proofs.generateKeyPair('ES256')
    const { headers } = await server.post(
      '/oauth/token',
      {},
      { dpop: await proofs.generateProof(pair, server.tokenEndpoint, 'POST') },
    )
    const nonce = headers.get('dpop-nonce') ?? ''
    const dpop = await proofs.generateProof(pair, server.tokenEndpoint, 'POST', nonce)
    const send = async () => {
      const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion(), scope: 'read' }
      return (await server.post('/oauth/token', form, { dpop })).body
    }
    expect((await send()).token_type).toBe('DPoP')
    expect((await send()).error).toBe('invalid_dpop_proof')
  })
})
