import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { findLogLine } from '../conformance/support.ts'
import { type ClientCertificate, createClientCertificate } from '../support/client-certificate.ts'
import { createProver } from '../support/dpop.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** The tests are a trusted proxy that tells certificates. */
let server: TestServer
/** The same installation, which trusts no proxy at this address. */
let distrustful: TestServer
let fixture: Fixture
let certificate: ClientCertificate

beforeAll(async () => {
  const clientCertificateHeader = 'client-cert'
  server = await startTestServer({ trustedProxies: ['loopback'], clientCertificateHeader })
  distrustful = await startTestServer({
    connection: server.connection,
    clock: server.clock,
    issuer: server.issuer,
    trustedProxies: ['203.0.113.7'],
    clientCertificateHeader,
  })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  certificate = await createClientCertificate()
})

afterAll(async () => {
  await distrustful.close()
  await server.close()
})

async function ask(headers: Record<string, string>, on = server): Promise<Answer> {
  const { identifier, secret } = fixture.resourceServer
  const query = new URLSearchParams({ resource: identifier })
  return toAnswer(
    await fetch(`${on.url}/oauth/forward-auth?${query}`, {
      headers: { 'x-resource-server-secret': secret, ...headers },
    }),
  )
}

async function expectRefused(answer: Answer, why: string, on = server): Promise<void> {
  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="countersign", error="invalid_token"')
  expect((await findLogLine(on, answer)).detail).toMatchObject({ why })
}

test('a token that is bound by DPoP is no Bearer token', async () => {
  const prover = await createProver(server)
  const token = await prover.getToken(fixture)
  await expectRefused(await ask({ authorization: `Bearer ${token}` }), 'bound_to_key')
})

test('a token that is bound by DPoP is not let in with a proof either, which nobody here can judge', async () => {
  const prover = await createProver(server)
  const accessToken = await prover.getToken(fixture)
  const uri = `${server.issuer}/oauth/forward-auth`
  const dpop = await prover.prove({ method: 'GET', uri, accessToken, nonce: await prover.tokenNonce() })
  expect((await ask({ authorization: `DPoP ${accessToken}`, dpop })).status).toBe(401)
  await expectRefused(await ask({ authorization: `Bearer ${accessToken}`, dpop }), 'bound_to_key')
})

test('a token that is bound to a certificate is let in with it, and with no other, if a trusted proxy tells so', async () => {
  const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
  const headers = { 'client-cert': certificate.header }
  const { access_token: token } = await must(server.post('/oauth/token', form, headers))
  const authorization = `Bearer ${token}`
  expect((await ask({ authorization, ...headers })).status).toBe(204)
  const other = await createClientCertificate()
  await expectRefused(await ask({ authorization }), 'bound_to_certificate')
  await expectRefused(await ask({ authorization, 'client-cert': other.header }), 'bound_to_certificate')
  await expectRefused(
    await ask({ authorization, ...headers }, distrustful),
    'bound_to_certificate',
    distrustful,
  )
})
