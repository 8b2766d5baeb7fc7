import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createKeyPair, decode } from '../support/jwt.ts'
import {
  type Answer,
  type Fixture,
  must,
  signByHand,
  startTestServer,
  type TestServer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor, findLogLine } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

async function expectInvalidGrant(reason: string, send: () => Promise<Answer>): Promise<Answer> {
  const answer = await expectNothingIssued(server, send)
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
  return answer
}

function sendAssertion(assertion: string): Promise<Answer> {
  return fixture.requestToken({ assertion })
}

test('[7521-4.1-1] the grant without an assertion is refused', async () => {
  for (const form of [{ grant_type: JWT_BEARER }, { grant_type: JWT_BEARER, assertion: '' }]) {
    const answer = await expectNothingIssued(server, () => server.post('/oauth/token', form))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'parameter_missing' })
  }
})

test('[7521-4.1-3] the life time of a token is the one of its resource server, whenever the assertion ends, and this is documented', async () => {
  const now = Math.floor(server.clock.now() / 1000)
  const short = await sendAssertion(await fixture.assertion({ exp: now + 60 }))
  const long = await sendAssertion(await fixture.assertion({ exp: now + 3600 }))
  expect([short.body.expires_in, long.body.expires_in]).toEqual([900, 900])

  const other = await server.createFixture()
  await must(
    server.api('PATCH', `/resource-servers/${other.resourceServer.id}`, { token_lifetime_seconds: 120 }),
  )
  expect((await other.requestToken()).body.expires_in).toBe(120)
  const contract = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')
  expect(contract.includes('whenever the assertion expires')).toBe(true)
})

test('[7521-4.1-5] an assertion without jti may be presented again while it holds; with jti it may not', async () => {
  const reusable = await fixture.assertion({ jti: undefined })
  const first = await sendAssertion(reusable)
  const second = await sendAssertion(reusable)
  expect([first.status, second.status]).toEqual([200, 200])
  expect(second.body.access_token).not.toBe(first.body.access_token)

  const single = await fixture.assertion()
  expect((await sendAssertion(single)).status).toBe(200)
  await expectInvalidGrant('assertion_replayed', () => sendAssertion(single))
})

test('[7521-6.3] an account that may not act for others gets no token for another subject', async () => {
  const other = await server.createFixture()
  for (const sub of ['user-1', other.accountId, other.accountEmail, server.issuer]) {
    const assertion = await fixture.assertion({ sub })
    await expectInvalidGrant('subject_not_allowed', () => sendAssertion(assertion))
  }
})

test('[7521-8] the log tells whose assertion was refused and why, and never has the assertion', async () => {
  const jti = crypto.randomUUID()
  const assertion = await fixture.assertion({ jti })
  expect((await sendAssertion(assertion)).status).toBe(200)
  const refused = [
    await sendAssertion(assertion),
    await sendAssertion(await fixture.assertion({ aud: 'https://elsewhere.example' })),
    await sendAssertion(`${assertion.slice(0, -8)}AAAAAAAA`),
  ]
  for (const answer of refused) {
    const line = await findLogLine(server, answer)
    expect(line.detail).toMatchObject({ accountId: fixture.accountId })
  }
  expect((await findLogLine(server, refused[0]!)).detail).toMatchObject({ jti, keyId: fixture.keyId })
  expect((await findLogLine(server, refused[2]!)).detail).toMatchObject({
    iss: fixture.accountId,
    kid: fixture.keyId,
  })
  const log = JSON.stringify(server.logs())
  for (const part of assertion.split('.')) expect(log).not.toContain(part)
})

test('[7523-2.1-1][7523-2.1-3] one JWT is enough: the token names the account as its client', async () => {
  const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
  const answer = await server.post('/oauth/token', form)
  expect(answer.status).toBe(200)
  expect(decode(answer.body.access_token).claims).toMatchObject({
    client_id: fixture.accountId,
    sub: fixture.accountId,
  })
  expect((await fixture.introspect(answer.body.access_token)).body).toMatchObject({
    active: true,
    client_id: fixture.accountId,
  })
})

test.each<[string, (one: string, other: string) => string]>([
  ['joined by a space', (one, other) => `${one} ${other}`],
  ['joined by a comma', (one, other) => `${one},${other}`],
  ['joined by a comma and a space', (one, other) => `${one}, ${other}`],
  ['joined by a line break', (one, other) => `${one}\n${other}`],
  ['joined by a dot', (one, other) => `${one}.${other}`],
  ['in a JSON array', (one, other) => JSON.stringify([one, other])],
  ['of which one is in a JSON array', (one) => JSON.stringify([one])],
  ['of which one is in quotation marks', (one) => JSON.stringify(one)],
  ['of which the second is empty', (one) => `${one} `],
])('[7523-2.1-2] two JWTs %s are refused', async (_name, join) => {
  const assertion = join(await fixture.assertion(), await fixture.assertion())
  await expectInvalidGrant('assertion_malformed', () => sendAssertion(assertion))
})

test('[7523-2.1-4] a client_id alone identifies: the own one is fine, by id or email; another is refused', async () => {
  for (const clientId of [fixture.accountId, fixture.accountEmail]) {
    expect((await fixture.requestToken({ form: { client_id: clientId } })).status).toBe(200)
  }
  const other = await server.createFixture()
  for (const clientId of [
    other.accountId,
    other.accountEmail,
    fixture.keyId,
    fixture.accountId.toUpperCase(),
  ]) {
    await expectInvalidGrant('client_mismatch', () => fixture.requestToken({ form: { client_id: clientId } }))
  }
})

test('[7523-2.1-4] a foreign client_id burns no jti', async () => {
  const assertion = await fixture.assertion()
  await expectInvalidGrant('client_mismatch', () =>
    fixture.requestToken({ assertion, form: { client_id: 'acc_other' } }),
  )
  expect((await sendAssertion(assertion)).status).toBe(200)
})

test.each([
  'abc',
  'a.b',
  '..',
  '...',
  'a..b',
  '.a.b',
  'a.b.',
  'a.b.c',
  'a.b.c.d',
  'a.b.c.d.e',
  ' ',
  '\ufeff',
])('[7523-2.1-5] %j is no JWT, which is a fault of the assertion', async (assertion) => {
  await expectInvalidGrant('assertion_malformed', () => sendAssertion(assertion))
})

test('[7523-2.1-6] an assertion of 64 kB is refused before its signature is looked at', async () => {
  const padding = 'x'.repeat(64 * 1024)
  const good = await fixture.assertion({ padding })
  const answer = await expectInvalidGrant('assertion_too_large', () => sendAssertion(good))
  // Nothing of it was read: not even whose it is.
  expect((await findLogLine(server, answer)).detail).toEqual({ length: good.length, limit: 16_384 })
  await expectInvalidGrant('assertion_too_large', () => sendAssertion('x'.repeat(100_000)))
})

test('[7523-2.1-7] an access token of this server is no assertion, as JWT or opaque', async () => {
  const token = await fixture.getToken()
  expect(decode(token).header.typ).toBe('at+jwt')
  await expectInvalidGrant('assertion_type_unexpected', () => sendAssertion(token))
  const opaque = await server.createFixture({ tokenFormat: 'opaque' })
  const opaqueToken = await opaque.getToken()
  await expectInvalidGrant('assertion_malformed', () => sendAssertion(opaqueToken))
})

test.each([
  'at+jwt',
  'application/at+jwt',
  'AT+JWT',
  'token-introspection+jwt',
  'dpop+jwt',
  'client-authentication+jwt',
  'secevent+jwt',
  'JWT2',
  '',
])('[7523-2.1-7] a JWT of type %j is no assertion, whoever signed it', async (typ) => {
  const assertion = await fixture.assertion({}, { typ })
  await expectInvalidGrant('assertion_type_unexpected', () => sendAssertion(assertion))
})

test('[7523-2.1-7] a DPoP proof with its own key in the header is no assertion', async () => {
  const pair = await createKeyPair('RS256')
  const claims = {
    htm: 'POST',
    htu: server.tokenEndpoint,
    iat: Math.floor(server.clock.now() / 1000),
    jti: 'x',
  }
  for (const [typ, reason] of [
    ['dpop+jwt', 'assertion_type_unexpected'],
    ['JWT', 'claim_malformed'],
  ] as const) {
    const header = JSON.stringify({ alg: 'RS256', typ, jwk: pair.publicJwk })
    const proof = signByHand(header, JSON.stringify(claims), pair.privateKeyPem)
    await expectInvalidGrant(reason, () => sendAssertion(proof))
  }
})
