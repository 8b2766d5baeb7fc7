import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { importPKCS8 } from 'jose'
import { signCompact } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

async function accepted(aud: unknown): Promise<void> {
  const answer = await fixture.requestToken({ assertion: await fixture.assertion({ aud }) })
  expect(answer).toMatchObject({ status: 200, body: { token_type: 'Bearer' } })
}

async function refused(aud: unknown): Promise<void> {
  const assertion = await fixture.assertion({ aud })
  const answer = await expectNothingIssued(server, () => fixture.requestToken({ assertion }))
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'audience_mismatch' })
}

test.each<[string, unknown]>([
  ['absent', undefined],
  ['an empty array', []],
  ['null', null],
  ['an object', {}],
  ['a number', 1],
  ['empty', ''],
  ['a nested array', [['x']]],
])('[7523-3.3a][8725-3.9] an assertion whose aud is %s is refused', async (_what, aud) => {
  await refused(aud)
})

test.each<[string, (issuer: string) => string]>([
  ['the issuer of another server', () => 'https://id.example.org'],
  ['the token endpoint of another server', () => 'https://id.example.org/oauth/token'],
  ['the token endpoint of Google', () => 'https://oauth2.googleapis.com/token'],
  ['our introspection endpoint', (issuer) => `${issuer}/oauth/introspect`],
  ['our revocation endpoint', (issuer) => `${issuer}/oauth/revoke`],
  ['our JWKS', (issuer) => `${issuer}/.well-known/jwks.json`],
  ['our management API', (issuer) => `${issuer}/api/v1`],
  ['an issuer that begins like ours', (issuer) => `${issuer}.example.org`],
  ['the beginning of our issuer', (issuer) => issuer.slice(0, -1)],
])('[7523-3.3b][8725-3.9] an assertion for %s is refused', async (_whom, aud) => {
  await refused(aud(server.issuer))
  await refused([aud(server.issuer)])
})

test('[7523-3.3b] an assertion for the resource server that the token is for is refused', async () => {
  await refused(fixture.resourceServer.identifier)
})

test.each<[string, (url: string) => string]>([
  ['the scheme in upper case', (url) => url.replace('http:', 'HTTP:')],
  ['the other scheme', (url) => url.replace('http:', 'https:')],
  ['a trailing slash', (url) => `${url}/`],
  ['the host by its other name', (url) => url.replace('127.0.0.1', 'localhost')],
  ['a trailing dot on the host', (url) => url.replace('127.0.0.1', '127.0.0.1.')],
  ['a port with a leading zero', (url) => url.replace('127.0.0.1:', '127.0.0.1:0')],
  ['percent-encoding', (url) => url.replace('127', '%31%32%37')],
  ['a user name', (url) => url.replace('//', '//u@')],
  ['a query', (url) => `${url}?`],
  ['a fragment', (url) => `${url}#`],
  ['a space around it', (url) => ` ${url} `],
  ['a dot segment', (url) => `${url}/.`],
])('[7523-3.3c][7519-4.1.3-1] issuer and token endpoint with %s are other values', async (_what, spell) => {
  await refused(spell(server.issuer))
  await refused(spell(server.tokenEndpoint))
})

test('[7523-3.3c] the upper-case host and the default port of an https issuer are other values', async () => {
  const secure = await startTestServer({ issuer: 'https://id.example.test' })
  try {
    const account = await secure.createFixture({ algorithm: 'ES256' })
    const send = async (aud: string) =>
      (await account.requestToken({ assertion: await account.assertion({ aud }) })).status
    expect(await send('https://id.example.test')).toBe(200)
    expect(await send('https://id.example.test/oauth/token')).toBe(200)
    for (const aud of [
      'https://ID.example.test',
      'https://id.example.test:443',
      'https://id.example.test:443/oauth/token',
      'http://id.example.test',
      'https://id.example.test/oauth/token/',
      'https://id.example.test/oauth/Token',
      'https://id%2Eexample.test',
      secure.url,
    ]) {
      expect([aud, await send(aud)]).toEqual([aud, 400])
    }
  } finally {
    await secure.close()
  }
})

test('[7523-3.3d] no header of a request changes the audience that is expected', async () => {
  const forged = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
  const send = async (aud: string, headers: Record<string, string>) =>
    sendRaw(server, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await fixture.assertion({ aud }),
      }).toString(),
    })
  for (const aud of ['evil.example', 'http://evil.example', 'https://evil.example/oauth/token']) {
    const answer = await expectNothingIssued(server, () => send(aud, forged))
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'audience_mismatch' })
  }
  const forwarded = { host: 'evil.example', forwarded: 'host=evil.example;proto=https' }
  expect((await send(server.tokenEndpoint, forwarded)).status).toBe(200)
})

test('[7523-3.3e][7519-4.1.3-1][bis-12] issuer and token endpoint are each accepted alone, as text and as an array of one', async () => {
  await accepted(server.issuer)
  await accepted(server.tokenEndpoint)
  await accepted([server.issuer])
  await accepted([server.tokenEndpoint])
})

test.each<[string, (issuer: string, tokenEndpoint: string) => unknown]>([
  ['the token endpoint and a foreign server', (_issuer, endpoint) => [endpoint, 'https://evil']],
  ['a foreign server and the issuer', (issuer) => ['https://evil', issuer]],
  ['issuer and token endpoint', (issuer, endpoint) => [issuer, endpoint]],
  ['the issuer twice', (issuer) => [issuer, issuer]],
  ['both in one text', (issuer, endpoint) => `${issuer} ${endpoint}`],
])(
  '[7523-3.3f] an assertion for %s is refused: one that others accept too is nobody’s',
  async (_whom, aud) => {
    await refused(aud(server.issuer, server.tokenEndpoint))
  },
)

test.each<[string, (issuer: string) => unknown]>([
  ['a number and the issuer', (issuer) => [1, issuer]],
  ['the issuer and null', (issuer) => [issuer, null]],
  ['an object and the issuer', (issuer) => [{}, issuer]],
  ['an object that looks like the issuer', (issuer) => [{ toString: issuer }]],
])('[7523-3.3g] an aud array of %s is refused', async (_what, aud) => {
  await refused(aud(server.issuer))
})

test('[7519-4.1.3-2] an aud array that is empty or has a thousand entries is refused', async () => {
  await refused([])
  await refused([...Array(1000).keys()].map(String))
  await refused([server.issuer, ...[...Array(999).keys()].map(String)])
})

test('[7523-3.3b] an extra audience of the account counts for keys that were made here, and for no other', async () => {
  const aud = 'https://old.example/token'
  const account = await server.createFixture({
    algorithm: 'ES256',
    assertionPolicy: { extra_audiences: [aud] },
  })
  const registered = await account.requestToken({ assertion: await account.assertion({ aud }) })
  await expectRefusalFor(server, registered, { error: 'invalid_grant', reason: 'audience_mismatch' })

  const { body } = await server.api('POST', `${account.accountPath}/keys`, { type: 'rsa' })
  const made = await importPKCS8(body.key_file.private_key, 'RS256')
  const header = { alg: 'RS256', kid: body.key_file.private_key_id }
  const send = async (value: unknown) =>
    account.requestToken({ assertion: await signCompact(header, account.claims({ aud: value }), made) })
  expect((await send(aud)).status).toBe(200)
  expect((await send([aud, server.issuer])).status).toBe(400)
  expect((await send('https://other.example/token')).status).toBe(400)
})
