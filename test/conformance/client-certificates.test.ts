import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { type ClientCertificate, createClientCertificate } from '../support/client-certificate.ts'
import { createProver } from '../support/dpop.ts'
import { decode } from '../support/jwt.ts'
import { expectProblem, managementServerId } from '../support/management.ts'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor, findLogLine } from './support.ts'

/** RFC 8705 §3 behind a proxy that ends TLS. */

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const METADATA = '/.well-known/oauth-authorization-server'

/** Trusts this machine as its proxy, so that the tests are the proxy. */
let server: TestServer
/** The same installation for clients that come without a trusted proxy. */
let open: TestServer
/** The same behind a trusted proxy that is not set up for certificates. */
let unaware: TestServer
let fixture: Fixture
let certificate: ClientCertificate
let other: ClientCertificate

beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['loopback'], clientCertificateHeader: 'client-cert' })
  const same = { connection: server.connection, clock: server.clock, issuer: server.issuer }
  open = await startTestServer({
    ...same,
    trustedProxies: ['203.0.113.7'],
    clientCertificateHeader: 'client-cert',
  })
  unaware = await startTestServer({ ...same, trustedProxies: ['loopback'] })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  certificate = await createClientCertificate()
  other = await createClientCertificate()
})

afterAll(async () => {
  await open.close()
  await unaware.close()
  await server.close()
})

async function requestToken(
  headers: Record<string, string>,
  { on = server, by = fixture }: { on?: TestServer; by?: Fixture } = {},
): Promise<Answer> {
  return on.post('/oauth/token', { grant_type: JWT_BEARER, assertion: await by.assertion() }, headers)
}

const cnfOf = (answer: Answer) => decode(answer.body.access_token).claims.cnf

describe('a token is bound to the certificate', () => {
  test.each(['jwt', 'opaque'] as const)(
    '[8705-3-1][7662-mtls] a %s token, in itself and at introspection',
    async (tokenFormat) => {
      const by = await server.createFixture({ algorithm: 'ES256', tokenFormat })
      const answer = await requestToken({ 'client-cert': certificate.header }, { by })
      expect(answer).toMatchObject({ status: 200, body: { token_type: 'Bearer' } })
      const cnf = { 'x5t#S256': certificate.thumbprint }
      if (tokenFormat === 'jwt') expect(cnfOf(answer)).toEqual(cnf)
      // Asked by the resource server over a connection of its own.
      const told = await by.introspect(answer.body.access_token)
      expect(told.body).toMatchObject({ active: true, token_type: 'Bearer', cnf })
    },
  )

  test('[8705-3-1] by client_credentials, and the account’s list of tokens says so', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const { authorization } = await createApiToken(server, by)
    const form = { grant_type: 'client_credentials' }
    const answer = await server.post('/oauth/token', form, {
      authorization,
      'client-cert': certificate.header,
    })
    expect(cnfOf(answer)).toEqual({ 'x5t#S256': certificate.thumbprint })
    const [token] = (await must(server.api('GET', `${by.accountPath}/tokens`))).items
    expect(token.cnf).toEqual({ 'x5t#S256': certificate.thumbprint })
  })

  test('[8705-3-1] not where the resource server does not look at certificates', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const path = `/resource-servers/${by.resourceServer.id}`
    await must(server.api('PATCH', path, { sender_constraints: ['dpop'] }))
    const answer = await requestToken({ 'client-cert': certificate.header }, { by })
    expect(answer.status).toBe(200)
    expect(cnfOf(answer)).toBeUndefined()
  })

  test('[8705-3-1] not without one', async () => {
    expect(cnfOf(await requestToken({}))).toBeUndefined()
  })
})

describe('what a client says of certificates itself', () => {
  test('[8705-p1][9700-4.13] is nothing, unless it is the trusted proxy', async () => {
    for (const on of [open, unaware]) {
      for (const value of [certificate.header, 'nonsense']) {
        const headers = { 'client-cert': value, 'x-ssl-client-cert': value, 'x-forwarded-for': '203.0.113.7' }
        const answer = await requestToken(headers, { on })
        expect(answer.status).toBe(200)
        expect(cnfOf(answer)).toBeUndefined()
      }
    }
  })

  test('[8705-p1] is nothing in another header than the configured one', async () => {
    const headers = { 'x-ssl-client-cert': certificate.header, 'client-cert-chain': certificate.header }
    expect(cnfOf(await requestToken(headers))).toBeUndefined()
  })

  test('[8705-p1] makes no token of another’s certificate usable', async () => {
    const token = await boundManagementToken()
    const answer = await callWith(token, certificate.header, open)
    expectProblem(answer, 401, 'token_invalid')
  })
})

describe('a header that is not one certificate', () => {
  test.each(['', ':', '::', 'x', ':AAAA:', 'MIIB'])(
    '[8705-p1] from the trusted proxy is refused, not overlooked: «%s»',
    async (value) => {
      const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await fixture.assertion() })
      const headers = { 'content-type': 'application/x-www-form-urlencoded', 'client-cert': value }
      const answer = await expectNothingIssued(server, () =>
        sendRaw(server, { headers, body: body.toString() }),
      )
      await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'certificate_malformed' })
    },
  )

  test('[8705-p1] given twice is refused: which one the proxy has seen cannot be told', async () => {
    const body = new URLSearchParams({ grant_type: JWT_BEARER, assertion: await fixture.assertion() })
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'client-cert': [certificate.header, other.header],
    }
    const answer = await expectNothingIssued(server, () =>
      sendRaw(server, { headers, body: body.toString() }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'certificate_malformed' })
  })
})

async function boundManagementToken(): Promise<string> {
  const by = await server.createFixture({ algorithm: 'ES256', permissions: [] })
  const management = await managementServerId(server)
  const permissions = [{ resource_server_id: management, permission: 'audit:read' }]
  await must(server.api('PATCH', by.accountPath, { permissions }))
  return (await must(requestToken({ 'client-cert': certificate.header }, { by }))).access_token
}

async function callWith(token: string, header?: string, on: TestServer = server): Promise<Answer> {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(header !== undefined && { 'client-cert': header }),
  }
  return toAnswer(await fetch(`${on.url}/api/v1/me`, { headers }))
}

describe('at the management API a bound token', () => {
  let token: string

  beforeAll(async () => {
    token = await boundManagementToken()
  })

  test('[8705-3-2] is accepted with its certificate', async () => {
    expect((await callWith(token, certificate.header)).status).toBe(200)
  })

  test('[8705-3-2][7662-downgrade] is refused without, and with another', async () => {
    for (const header of [undefined, other.header]) {
      const answer = await callWith(token, header)
      expectProblem(answer, 401, 'token_invalid')
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
      const { detail } = await findLogLine(server, answer)
      expect(detail).toMatchObject({ why: 'bound_to_certificate' })
    }
  })

  test('[8705-3-2] is no token of the scheme DPoP', async () => {
    const prover = await createProver(server)
    const answer = await prover.call(token, { headers: { 'client-cert': certificate.header } })
    expectProblem(answer, 401, 'token_invalid')
  })

  test('[8705-3-2] is refused where no certificates are passed on', async () => {
    expectProblem(await callWith(token, certificate.header, unaware), 401, 'token_invalid')
  })

  test('a token that is not bound is accepted with any certificate', async () => {
    expect((await callWith(await server.operatorToken(), other.header)).status).toBe(200)
  })
})

test('[8705-3-2] a bound token authorizes introspection with its certificate only', async () => {
  const by = await server.createFixture({ algorithm: 'ES256', permissions: ['read', 'tokens:introspect'] })
  const bearer = (await must(requestToken({ 'client-cert': certificate.header }, { by }))).access_token
  const token = await by.getToken()
  const ask = (header?: string) =>
    server.post(
      '/oauth/introspect',
      { token },
      { authorization: `Bearer ${bearer}`, ...(header !== undefined && { 'client-cert': header }) },
    )
  expect((await ask(certificate.header)).body.active).toBe(true)
  for (const header of [undefined, other.header]) {
    await expectRefusalFor(server, await ask(header), {
      status: 401,
      error: 'invalid_token',
      reason: 'token_invalid',
    })
  }
})

test('[8705-3.3] the metadata says so where it is set up, and is silent elsewhere', async () => {
  const read = async (of: TestServer) => (await fetch(of.url + METADATA)).json()
  expect(await read(server)).toHaveProperty('tls_client_certificate_bound_access_tokens', true)
  expect(await read(unaware)).not.toHaveProperty('tls_client_certificate_bound_access_tokens')
})

describe('a DPoP proof and a certificate', () => {
  test('[8705-p2] together are refused, and neither is used up', async () => {
    const prover = await createProver(server)
    const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
    const assertion = await fixture.assertion()
    const form = { grant_type: JWT_BEARER, assertion }
    const both = { dpop, 'client-cert': certificate.header }
    const answer = await expectNothingIssued(server, () => server.post('/oauth/token', form, both))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'binding_ambiguous' })
    expect((await server.post('/oauth/token', form, { dpop })).body.token_type).toBe('DPoP')
  })

  test('[8705-p2] bind by the proof where the resource server looks at proofs alone', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const path = `/resource-servers/${by.resourceServer.id}`
    await must(server.api('PATCH', path, { sender_constraints: ['dpop'] }))
    const prover = await createProver(server)
    const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
    const answer = await requestToken({ dpop, 'client-cert': certificate.header }, { by })
    expect(cnfOf(answer)).toEqual({ jkt: prover.jkt })
  })
})
