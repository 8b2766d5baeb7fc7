import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createProver } from '../support/dpop.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createInvoices, getTokenBoundToCertificate, type Invoices, RESOURCE } from './invoices.ts'
import { startNode } from './programs.ts'

let server: TestServer
let invoices: Invoices
let caller: Fixture

beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['loopback'], clientCertificateHeader: 'client-cert' })
  invoices = await createInvoices(server)
  caller = await invoices.createCaller()
})

afterAll(() => server.close())

const programs = [
  {
    name: 'express-oauth2-jwt-bearer',
    program: 'express/jwt.js',
    env: () => ({ ISSUER: server.issuer, AUDIENCE: RESOURCE }),
    afterRevocation: 200,
  },
  {
    name: 'Express with introspection',
    program: 'express/introspection.js',
    env: () => ({ ISSUER: server.issuer, CLIENT_ID: invoices.id, CLIENT_SECRET: invoices.secret }),
    afterRevocation: 401,
  },
]

describe.each(programs)('$name', ({ program, env, afterRevocation }) => {
  let api: { url: string; stop(): void }
  beforeAll(async () => {
    api = await startNode(program, env())
  })
  afterAll(() => api?.stop())

  const call = (authorization?: string, method = 'GET') =>
    fetch(api.url, { method, headers: authorization === undefined ? {} : { authorization } })

  test('lets a token of ours in, and knows whose it is', async () => {
    const answer = await call(`Bearer ${await caller.getToken()}`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      caller: caller.accountId,
      permissions: ['invoices:read', 'invoices:write'],
    })
    expect((await call(`Bearer ${await caller.getToken()}`, 'POST')).status).toBe(201)
  })

  test('answers 401 with a challenge without a token', async () => {
    const answer = await call()
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /)
  })

  test('answers 403 to who lacks the permission, and names it', async () => {
    const answer = await call(`Bearer ${await caller.getToken({ scope: 'invoices:read' })}`, 'POST')
    expect(answer.status).toBe(403)
    expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_scope"')
    expect(answer.headers.get('www-authenticate')).toContain('scope="invoices:write"')
  })

  test.each<[string, () => Promise<string>]>([
    ['a token for another resource server', async () => (await server.createFixture()).getToken()],
    ['a token for the management API', () => server.operatorToken()],
    [
      'an assertion',
      () => caller.assertion({ aud: RESOURCE, client_id: caller.accountId, scope: 'invoices:read' }),
    ],
    [
      'a changed token',
      async () => {
        const [header, payload = '', signature] = (await caller.getToken({ scope: 'invoices:read' })).split(
          '.',
        )
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
        const more = JSON.stringify({ ...claims, scope: 'invoices:read invoices:write' })
        return [header, Buffer.from(more).toString('base64url'), signature].join('.')
      },
    ],
    ['garbage', async () => 'garbage'],
    [
      'a token that is bound by DPoP, as a Bearer token',
      async () => (await createProver(server)).getToken(caller),
    ],
    ['a token that is bound to a certificate, without it', () => getTokenBoundToCertificate(server, caller)],
  ])('answers 401 to %s', async (_what, present) => {
    const answer = await call(`Bearer ${await present()}`)
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  test(`answers ${afterRevocation} once the key is deleted`, async () => {
    const other = await invoices.createCaller()
    const token = await other.getToken()
    expect((await call(`Bearer ${token}`)).status).toBe(200)
    await must(server.api('DELETE', `${other.accountPath}/keys/${other.keyId}`))
    expect((await call(`Bearer ${token}`)).status).toBe(afterRevocation)
  })
})

test('who introspects takes API tokens too', async () => {
  const api = await startNode('express/introspection.js', {
    ISSUER: server.issuer,
    CLIENT_ID: invoices.id,
    CLIENT_SECRET: invoices.secret,
  })
  try {
    const { token, keyPath } = await createApiToken(server, caller)
    const call = () => fetch(api.url, { headers: { authorization: `Bearer ${token}` } })
    expect((await call()).status).toBe(200)
    await must(server.api('DELETE', keyPath))
    expect((await call()).status).toBe(401)
  } finally {
    api.stop()
  }
})
