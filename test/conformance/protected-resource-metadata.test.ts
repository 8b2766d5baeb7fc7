import { afterAll, beforeAll, expect, test } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import { MANAGEMENT_PERMISSIONS } from '../../src/directory/management-permissions.ts'
import { type Answer, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { expectRefusal } from './support.ts'

const LOCATION = '/.well-known/oauth-protected-resource/api/v1'

let server: TestServer
/** The same application behind a reverse proxy, below a path of its host. */
let tenant: TestServer

beforeAll(async () => {
  server = await startTestServer()
  tenant = await startTestServer({ issuer: 'https://id.example.test/t1' })
})

afterAll(async () => {
  await server.close()
  await tenant.close()
})

const get = async (url: string, init: RequestInit = {}): Promise<Answer> => toAnswer(await fetch(url, init))

test('[9728-3-1][9728-3-2] the metadata stands before the path of the management API, and names its identifier', async () => {
  const { status, headers, body } = await get(server.url + LOCATION)
  expect(status).toBe(200)
  expect(headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
  expect(body.resource).toBe(`${server.issuer}/api/v1`)
  // The audience of the tokens that the API takes, byte for byte.
  const [, payload = ''] = (await server.operatorToken()).split('.')
  expect(JSON.parse(Buffer.from(payload, 'base64url').toString()).aud).toBe(body.resource)
})

test('[9728-3-1][9728-3-2] where the issuer has a path it is part of the resource’s', async () => {
  const { status, body } = await get(`${tenant.url}/.well-known/oauth-protected-resource/t1/api/v1`)
  expect([status, body.resource]).toEqual([200, 'https://id.example.test/t1/api/v1'])
  for (const path of [LOCATION, '/t1/.well-known/oauth-protected-resource', `/t1${LOCATION}`])
    expect((await get(tenant.url + path)).status).toBe(404)
})

test('[9728-3-3] no member is null or empty', async () => {
  const { body } = await get(server.url + LOCATION)
  for (const value of Object.values(body)) {
    expect(value).not.toBeNull()
    expect(value).not.toHaveLength(0)
  }
})

test('[9728-3-4] the metadata says who gives tokens, what for, and how they are sent', async () => {
  const { body } = await get(server.url + LOCATION)
  expect(body).toEqual({
    resource: `${server.issuer}/api/v1`,
    resource_name: expect.any(String),
    authorization_servers: [server.issuer],
    scopes_supported: MANAGEMENT_PERMISSIONS.map(({ name }) => name),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
    resource_documentation: `${server.issuer}/docs`,
  })
  expect((await get(body.resource_documentation)).status).toBe(200)
})

test('[9728-4] the authorization server lists the same resource, and no other', async () => {
  const { body } = await get(`${server.url}/.well-known/oauth-authorization-server`)
  expect(body.protected_resources).toEqual([(await get(server.url + LOCATION)).body.resource])
})

test('[9728-5-1] a challenge leads there, and from there to a token', async () => {
  const resource = new URL(`${server.issuer}/api/v1`)
  const insecure = { [oauth.allowInsecureRequests]: true }
  const refused = await fetch(`${server.url}/api/v1/me`)
  const [, url] =
    /^Bearer .*resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '') ?? []
  expect(url).toBe(server.issuer + LOCATION)

  const metadata = await oauth.processResourceDiscoveryResponse(
    resource,
    await oauth.resourceDiscoveryRequest(resource, insecure),
  )
  const issuer = new URL(metadata.authorization_servers?.[0] ?? '')
  const found = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
  )
  expect(found.token_endpoint).toBe(server.tokenEndpoint)
})

test('[9728-5-1] a challenge to a bad token leads there too, below the issuer’s path', async () => {
  const answer = await get(`${tenant.url}/t1/api/v1/me`, { headers: { authorization: 'Bearer nope' } })
  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toBe(
    'Bearer realm="countersign", resource_metadata="https://id.example.test/.well-known/oauth-protected-resource/t1/api/v1", error="invalid_token"',
  )
})

test('[9728-5-1] a challenge of DPoP leads there too', async () => {
  const url = `resource_metadata="${server.issuer}${LOCATION}"`
  for (const headers of [{}, { authorization: 'DPoP nope' }]) {
    const answer = await get(`${server.url}/api/v1/me`, { headers })
    expect(answer.headers.get('www-authenticate')).toContain(`DPoP realm="countersign", ${url}`)
  }
})

test('[9728-7] the metadata may be kept for a while, by anybody, from anywhere', async () => {
  const { headers } = await get(server.url + LOCATION)
  expect(headers.get('cache-control')).toBe('public, max-age=300')
  expect(headers.get('access-control-allow-origin')).toBe('*')
})

test('the metadata is read, not written', async () => {
  const answer = await get(server.url + LOCATION, { method: 'POST' })
  expectRefusal(answer, 405, 'invalid_request')
  expect(answer.headers.get('allow')).toBe('GET, HEAD')
})
