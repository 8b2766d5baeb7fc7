import { afterAll, beforeAll, expect } from '@jest/globals'
import { createProver } from '../support/dpop.ts'
import { type RawRequest, sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createInvoices, getTokenBoundToCertificate, type Invoices } from './invoices.ts'
import { identityOf, type ProxyProgram, type RunningProxy, startApi, startProxy } from './proxy.ts'
import { startTls } from './tls.ts'
import { createOptionalTest, type Start, type Toolchain } from './toolchains.ts'

/** A client that wants to be somebody else, or nobody. */
const CLAIMED = { 'x-auth-subject': 'admin', x_auth_subject: 'admin', connection: 'close, x-auth-subject' }

/**
 * What holds of an API behind a proxy that judges tokens by itself, with its configuration from the guide. It tells the
 * API the subject in `X-Auth-Subject`. `endsTokens` says when a deleted key counts.
 */
export function testGuardedApi(
  name: string,
  found: Toolchain<Start>,
  program: ProxyProgram,
  endsTokens: 'at once' | 'when they expire',
  /** Of a missing permission. */
  forbidden: 401 | 403,
  knowsBindings: boolean,
): void {
  const optional = createOptionalTest(found)
  let server: TestServer
  let invoices: Invoices
  let caller: Fixture
  let api: Awaited<ReturnType<typeof startApi>>
  let tls: Awaited<ReturnType<typeof startTls>>
  let proxy: RunningProxy

  beforeAll(async () => {
    if ('missing' in found) return
    server = await startTestServer({ trustedProxies: ['loopback'], clientCertificateHeader: 'client-cert' })
    invoices = await createInvoices(server)
    caller = await invoices.createCaller()
    api = await startApi()
    tls = await startTls(server.url)
    const countersign = program.asksByTls ? tls.url : server.url
    const { id: resourceServerId, secret } = invoices
    proxy = await startProxy(found.run, program, { countersign, api: api.url, resourceServerId, secret })
  })

  afterAll(async () => {
    if ('missing' in found) return
    await proxy?.stop()
    api?.stop()
    tls?.stop()
    await server?.close()
  })

  const call = (request: RawRequest) => sendRaw(proxy, { method: 'GET', path: '/invoices', ...request })
  const callWith = (token: string, request: RawRequest = {}) =>
    call({ ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } })

  async function expectStopped(answer: Promise<Answer>, status: number): Promise<void> {
    const before = api.received.length
    expect((await answer).status).toBe(status)
    expect(api.received).toHaveLength(before)
  }

  optional.test(
    `${name} lets a good token in, and tells the API whose request it is, but not the token`,
    async () => {
      const token = await caller.getToken()
      const answer = await callWith(token, { headers: CLAIMED })
      expect([answer.status, identityOf(answer)]).toEqual([200, { 'x-auth-subject': caller.accountId }])
      expect(answer.text).not.toContain(token)
      const written = await callWith(token, { method: 'POST', body: 'amount=1' })
      expect(written.body).toMatchObject({ method: 'POST', body: 'amount=1' })
    },
  )

  optional.test(`${name} drops what a client says of itself also where nobody is asked`, async () => {
    const answer = await call({ path: '/status', headers: CLAIMED })
    expect([answer.status, identityOf(answer)]).toEqual([200, {}])
  })

  optional.test(`${name} stops who has no token, also one in the query`, async () => {
    await expectStopped(call({}), 401)
    await expectStopped(call({ path: `/invoices?access_token=${await caller.getToken()}` }), 401)
  })

  optional.test(
    `${name} stops a token for another resource server, a forged one, and an assertion`,
    async () => {
      const other = await server.createFixture({ algorithm: 'ES256' })
      await expectStopped(callWith(await other.getToken()), endsTokens === 'at once' ? 401 : 403)
      const [header, payload] = (await caller.getToken()).split('.')
      await expectStopped(callWith(`${header}.${payload}.${'A'.repeat(86)}`), 401)
      await expectStopped(callWith(await caller.assertion()), 401)
    },
  )

  optional.test(`${name} stops who lacks the permission`, async () => {
    const reader = await invoices.createCaller(['invoices:read'])
    const token = await reader.getToken()
    expect((await callWith(token)).status).toBe(200)
    await expectStopped(callWith(token, { method: 'POST', body: 'amount=1' }), forbidden)
    await expectStopped(callWith(token, { method: 'DELETE' }), forbidden)
  })

  optional.test(`${name} takes no bound token for a Bearer token`, async () => {
    if (!knowsBindings) {
      // So it says of itself, as the guide wants it; then nobody has any.
      const resourceServer = `/resource-servers/${invoices.id}`
      await must(server.api('PATCH', resourceServer, { sender_constraints: [] }))
      expect((await (await createProver(server)).requestToken(caller)).status).toBe(400)
      return
    }
    await expectStopped(callWith(await (await createProver(server)).getToken(caller)), forbidden)
    await expectStopped(callWith(await getTokenBoundToCertificate(server, caller)), forbidden)
  })

  optional.test(`${name} learns that a key was deleted ${endsTokens}`, async () => {
    const other = await invoices.createCaller()
    const token = await other.getToken()
    expect((await callWith(token)).status).toBe(200)
    await must(server.api('DELETE', `${other.accountPath}/keys/${other.keyId}`))
    expect((await callWith(token)).status).toBe(endsTokens === 'at once' ? 401 : 200)
  })

  optional.printSkipped(`an API behind ${name}`)
}
