import { afterAll, beforeAll, expect } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createClientCertificate } from '../support/client-certificate.ts'
import { type RawRequest, sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createInvoices, type Invoices } from './invoices.ts'
import { identityOf, type ProxyProgram, type RunningProxy, startApi, startProxy } from './proxy.ts'
import { createOptionalTest, type Start, type Toolchain } from './toolchains.ts'

/** What a client says that wants to be somebody else. */
const CLAIMED = {
  'x-auth-subject': 'admin',
  'X-AUTH-ACCOUNT': 'acc_admin',
  'x-auth-scopes': 'admin',
  'x-auth-organization': 'org_admin',
  'x-auth-key': ['key_1', 'key_2'],
  x_auth_subject: 'admin',
  'x-resource-server-secret': 'css_admin',
  // Headers between client and proxy: named here, some proxies take others out that they have put in themselves.
  connection: 'close, x-auth-subject, x-auth-scopes, x-resource-server-secret',
}

/** What is called through the proxy under test; set before its tests run. */
export type Setting = {
  server: TestServer
  /** An account that may use the API behind the proxy. */
  caller: Fixture
  api: Awaited<ReturnType<typeof startApi>>
  call(request: RawRequest): Promise<Answer>
  callWith(token: string, request?: RawRequest): Promise<Answer>
}

/**
 * What forward auth promises behind every proxy of the guide, with its configuration from there. `statusOf` says
 * what a client of this proxy gets when Countersign does not answer, or finds the secret wrong.
 */
export function testForwardAuth(
  name: string,
  found: Toolchain<Start>,
  program: ProxyProgram,
  statusOf: { noAnswer: number; wrongSecret: number },
) {
  const optional = createOptionalTest(found)
  const setting = {} as Setting
  let invoices: Invoices
  let proxy: RunningProxy | undefined

  beforeAll(async () => {
    if ('missing' in found) return
    const server = await startTestServer({
      trustedProxies: ['127.0.0.1'],
      clientCertificateHeader: 'client-cert',
    })
    invoices = await createInvoices(server)
    const api = await startApi()
    const target = await startProxy(found.run, program, addressesOf(server.url, api.url))
    proxy = target
    const call = (request: RawRequest, through: RunningProxy = target) =>
      sendRaw(through, { method: 'GET', path: '/invoices', ...request })
    Object.assign(setting, {
      server,
      api,
      call,
      callWith: (token: string, request: RawRequest = {}) =>
        call({ ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } }),
    })
    setting.caller = await invoices.createCaller()
  })

  afterAll(async () => {
    if ('missing' in found) return
    await proxy?.stop()
    setting.api?.stop()
    await setting.server?.close()
  })

  const addressesOf = (countersign: string, api: string) => ({
    countersign,
    api,
    resourceServerId: invoices.id,
    secret: invoices.secret,
  })

  /** Nothing has reached the API. */
  async function expectStopped(answer: Promise<Answer>, status: number): Promise<Answer> {
    const before = setting.api.received.length
    const stopped = await answer
    expect([stopped.status, stopped.text.slice(0, 200)]).toEqual([status, expect.any(String)])
    expect(setting.api.received).toHaveLength(before)
    return stopped
  }

  optional.test(
    `${name} lets a good token in, and tells the API whose request it is, but not the token`,
    async () => {
      const { caller, callWith } = setting
      const token = await caller.getToken()
      const answer = await callWith(token)
      expect(answer.status).toBe(200)
      expect(identityOf(answer)).toEqual({
        'x-auth-subject': caller.accountId,
        'x-auth-account': caller.accountId,
        'x-auth-scopes': 'invoices:read invoices:write',
        'x-auth-organization': caller.organizationId,
        'x-auth-key': caller.keyId,
      })
      expect(answer.text).not.toContain(token)
      expect(answer.text).not.toContain('css_')
    },
  )

  optional.test(`${name} drops what a client says of itself, where the token is good`, async () => {
    const { caller, callWith } = setting
    const answer = await callWith(await caller.getToken(), { headers: CLAIMED })
    expect(identityOf(answer)).toEqual({
      'x-auth-subject': caller.accountId,
      'x-auth-account': caller.accountId,
      'x-auth-scopes': 'invoices:read invoices:write',
      'x-auth-organization': caller.organizationId,
      'x-auth-key': caller.keyId,
    })
  })

  optional.test(`${name} drops it also where nobody is asked`, async () => {
    const headers = { ...CLAIMED, authorization: 'Bearer x' }
    const answer = await setting.call({ path: '/status', headers })
    expect([answer.status, identityOf(answer)]).toEqual([200, {}])
  })

  optional.test(`${name} passes the challenge on to a client without a token`, async () => {
    const answer = await expectStopped(setting.call({}), 401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="countersign", scope="invoices:read"')
  })

  optional.test(`${name} takes no token from the query, and tells nobody about it`, async () => {
    const token = await setting.caller.getToken()
    await expectStopped(setting.call({ path: `/invoices?access_token=${token}` }), 401)
    expect(JSON.stringify(setting.server.logs())).not.toContain(token)
  })

  optional.test(`${name} answers a malformed token with 401, not with an error of its own`, async () => {
    for (const authorization of ['Bearer', 'Bearer a b', 'Bearer "', `Bearer ${'a'.repeat(5000)}`]) {
      const answer = await expectStopped(setting.call({ headers: { authorization } }), 401)
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
    }
  })

  optional.test(`${name} stops a token the moment its key is deleted`, async () => {
    const other = await invoices.createCaller()
    const token = await other.getToken()
    expect((await setting.callWith(token)).status).toBe(200)
    await must(setting.server.api('DELETE', `${other.accountPath}/keys/${other.keyId}`))
    const answer = await expectStopped(setting.callWith(token), 401)
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  optional.test(`${name} stops a token for another resource server`, async () => {
    const other = await setting.server.createFixture({ algorithm: 'ES256' })
    await expectStopped(setting.callWith(await other.getToken()), 401)
  })

  optional.test(`${name} does not let a client say which certificate it holds`, async () => {
    const { header } = await createClientCertificate()
    const { caller, server, callWith } = setting
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await caller.assertion(),
    }
    const bound = await must(server.post('/oauth/token', form, { 'client-cert': header }))
    await expectStopped(callWith(bound.access_token, { headers: { 'client-cert': header } }), 401)
  })

  optional.test(`${name} demands permissions by method, and tells a client what is missing`, async () => {
    const reader = await invoices.createCaller(['invoices:read'])
    const token = await reader.getToken()
    for (const method of ['GET', 'HEAD']) expect((await setting.callWith(token, { method })).status).toBe(200)
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const request = { method, body: 'amount=1', headers: { 'x-http-method-override': 'GET' } }
      const answer = await expectStopped(setting.callWith(token, request), 403)
      expect(answer.headers.get('www-authenticate')).toBe(
        'Bearer realm="countersign", error="insufficient_scope", scope="invoices:write"',
      )
    }
  })

  optional.test(`${name} brings a request to the API whole`, async () => {
    const body = 'x'.repeat(300_000)
    const request = { method: 'POST', path: '/invoices?scope=x&a=1', body }
    const answer = await setting.callWith(await setting.caller.getToken(), request)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ method: 'POST', url: '/invoices?scope=x&a=1', body })
  })

  optional.test(`${name} is not led elsewhere by the path of a request`, async () => {
    for (const path of [
      '/../health/live',
      '/%2e%2e/health/live',
      '//health/live',
      '/a/../../.well-known/jwks.json',
    ])
      expect((await setting.call({ path })).status).toBeGreaterThanOrEqual(400)
    expect(setting.api.received.filter(({ url }) => /live|jwks/.test(url))).toEqual([])
  })

  optional.test(`${name} lets an API token in, and one for an end user, who is the subject`, async () => {
    const { caller, callWith, server } = setting
    const apiToken = await createApiToken(server, caller)
    expect(identityOf(await callWith(apiToken.token))).toMatchObject({
      'x-auth-subject': caller.accountId,
      'x-auth-key': apiToken.keyId,
    })

    const delegation = { subjects: ['user-*'], permissions: invoices.toPermissions(['invoices:read']) }
    await must(server.api('PATCH', caller.accountPath, { delegation }))
    const assertion = await caller.assertion({ sub: 'user-"1",x=y' })
    const { access_token: delegated } = (await caller.requestToken({ assertion })).body
    expect(identityOf(await callWith(delegated))).toMatchObject({
      'x-auth-subject': 'user-"1",x=y',
      'x-auth-account': caller.accountId,
      'x-auth-scopes': 'invoices:read',
    })
  })

  optional.test(`${name} lets nobody in with a wrong secret, or while the server is away`, async (start) => {
    const { server, api, caller } = setting
    const token = await caller.getToken()
    const away = await startApi()
    away.stop()
    const cases = [
      [{ secret: 'css_wrong' }, statusOf.wrongSecret],
      [{ countersign: away.url }, statusOf.noAnswer],
    ] as const
    for (const [change, status] of cases) {
      const options = { ...addressesOf(server.url, api.url), ...change }
      const other = await startProxy(start, program, options)
      const headers = { authorization: `Bearer ${token}` }
      await expectStopped(sendRaw(other, { method: 'GET', path: '/invoices', headers }), status).finally(() =>
        other.stop(),
      )
    }
  })

  return { setting, optional, expectStopped }
}
