import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asClient, byAssertion, type Signer } from '../support/client-assertions.ts'
import { signCompact } from '../support/jwt.ts'
import { type Answer, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { expectNothingIssued, expectRefusal } from './support.ts'

/**
 * What modules of the OpenID conformance suite send to the token endpoint as client assertion, by the modules' names:
 * those of the FAPI 2 variant for client credentials, and the client-assertion step of modules for other flows.
 * Left out are modules of older profiles that want an audience of two values, or the token endpoint, accepted.
 */

let server: TestServer
/** As FAPI 2 has it: its key is for PS256. */
let client: Signer
let other: Signer

beforeAll(async () => {
  server = await startTestServer()
  client = asClient(server, await server.createFixture({ algorithm: 'PS256' }))
  other = asClient(server, await server.createFixture({ algorithm: 'PS256' }))
})
afterAll(() => server.close())

/** The suite types no assertion. */
const sign = (changes: Record<string, unknown> = {}) => client.assertion(changes, { typ: undefined })
const now = () => Math.floor(server.clock.now() / 1000)

function send(assertion: string, form: Record<string, string> = {}): Promise<Answer> {
  return server.post('/oauth/token', {
    grant_type: 'client_credentials',
    ...byAssertion(assertion),
    ...form,
  })
}

async function refused(assertion: string, form: Record<string, string> = {}): Promise<void> {
  const answer = await expectNothingIssued(server, () => send(assertion, form))
  expectRefusal(answer, 400, 'invalid_client')
  expect(answer.body.error_uri).toBeUndefined()
}

async function accepted(assertion: string, form: Record<string, string> = {}): Promise<void> {
  expect(await send(assertion, form)).toMatchObject({ status: 200, body: { token_type: 'Bearer' } })
}

describe('FAPI 2.0 Security Profile, client credentials', () => {
  test('fapi2-security-profile-final-ensure-client-id-in-token-endpoint', async () => {
    await refused(await sign(), { client_id: other.id })
    await accepted(await sign(), { client_id: client.id })
  })

  test('fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails', async () => {
    const { privateKeyPem } = client.keyPair
    const { importPKCS8 } = await import('jose')
    const sameKey = await importPKCS8(privateKeyPem, 'RS256')
    await refused(await signCompact({ alg: 'RS256', kid: client.keyId }, client.claims(), sameKey))
  })

  test('fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint', async () => {
    const form = { grant_type: 'client_credentials', client_id: client.id }
    const answer = await expectNothingIssued(server, () => server.post('/oauth/token', form))
    expectRefusal(answer, 400, 'invalid_client')
  })

  test('fapi2-security-profile-final-ensure-client-assertion-with-exp-is-5-minutes-in-past-fails', async () => {
    await refused(await sign({ exp: now() - 300, iat: now() - 360 }))
  })

  test('fapi2-security-profile-final-ensure-client-assertion-with-wrong-aud-fails', async () => {
    await refused(await sign({ aud: 'https://other.example.com/oauth/token' }))
  })

  test('fapi2-security-profile-final-ensure-client-assertion-with-no-sub-fails', async () => {
    await refused(await sign({ sub: undefined }))
  })
})

describe('client-assertion steps of other flows', () => {
  test('fapi2-security-profile-final-par-test-array-as-audience-fails', async () => {
    await refused(await sign({ aud: [server.issuer, server.tokenEndpoint] }))
  })

  test('fapi2-security-profile-final-par-test-token-endpoint-url-as-audience-fails', async () => {
    await refused(await sign({ aud: server.tokenEndpoint }))
  })

  test('fapi2-security-profile-final-par-test-par-endpoint-url-as-audience-fails', async () => {
    await refused(await sign({ aud: `${server.issuer}/oauth/par` }))
  })

  test('fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted', async () => {
    await accepted(await sign({ nbf: now() + 8, iat: now() + 8, exp: now() + 68 }))
  })

  test('fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails', async () => {
    await refused(await sign({ nbf: now() + 75, exp: now() + 135 }))
  })

  test('fapi2-security-profile-final-par-without-duplicate-parameters', async () => {
    const assertion = await sign()
    const twice = [
      ...Object.entries({ grant_type: 'client_credentials', ...byAssertion(assertion) }),
      ['scope', 'read'],
      ['scope', 'read'],
    ] as [string, string][]
    const answer = await expectNothingIssued(server, () => server.post('/oauth/token', twice))
    expectRefusal(answer, 400, 'invalid_request')
    await accepted(assertion)
  })

  test('fapi2-security-profile-final-par-attempt-invalid-http-method', async () => {
    const query = new URLSearchParams({ grant_type: 'client_credentials', ...byAssertion(await sign()) })
    const answer = await toAnswer(await fetch(`${server.url}/oauth/token?${query}`, { method: 'PUT' }))
    expectRefusal(answer, 405, 'invalid_request')
  })

  test('fapi1-advanced-final-ensure-client-assertion-with-wrong-iss-fails', async () => {
    await refused(await sign({ iss: `${client.id}1` }))
    await refused(await sign({ iss: other.id }))
  })

  test('fapi1-advanced-final-ensure-client-assertion-with-wrong-sub-fails', async () => {
    await refused(await sign({ sub: `${client.id}1` }))
    await refused(await sign({ sub: other.id }))
  })

  test.each([
    'fapi1-advanced-final-ensure-client-assertion-with-iss-aud-succeeds',
    'oidcc-ensure-client-assertion-with-iss-aud-succeeds',
  ])('%s', async () => {
    await accepted(await sign({ aud: server.issuer }))
  })

  test('fapi-ciba-id1-ensure-without-client-assertion-in-token-endpoint-request', async () => {
    const answer = await server.post('/oauth/token', { grant_type: 'client_credentials' })
    expectRefusal(answer, 400, 'invalid_client')
  })

  test('fapi-ciba-id1-ensure-wrong-client-id-in-token-endpoint-request', async () => {
    await refused(await sign(), { client_id: other.id })
  })

  test('fapi-ciba-id1-ensure-client-assertion-signature-algorithm-in-token-endpoint-request-is-RS256-fails', async () => {
    const [, payload] = (await sign()).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: client.keyId })).toString('base64url')
    await refused(`${header}.${payload}.${'A'.repeat(342)}`)
  })
})
