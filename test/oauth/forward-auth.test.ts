import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { expectRefusalFor, findLogLine } from '../conformance/support.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let token: string

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  token = await fixture.getToken()
})

afterAll(() => server.close())

type Asked = {
  /** The end client's `Authorization`; undefined for none. */
  authorization?: string | undefined
  secret?: string | undefined
  query?: string
  method?: string
  path?: string
  headers?: Record<string, string>
}

/** Asks as the proxy of the fixture's resource server. */
async function ask(asked: Asked = {}, of = fixture): Promise<Answer> {
  const { authorization, secret } = { secret: of.resourceServer.secret, ...asked }
  const query = asked.query ?? `resource=${encodeURIComponent(of.resourceServer.identifier)}`
  return toAnswer(
    await fetch(`${server.url}${asked.path ?? '/oauth/forward-auth'}?${query}`, {
      method: asked.method ?? 'GET',
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(secret !== undefined && { 'x-resource-server-secret': secret }),
        ...asked.headers,
      },
    }),
  )
}

const askWith = (presented: string, query?: string, of = fixture) =>
  ask({ authorization: `Bearer ${presented}`, ...(query !== undefined && { query }) }, of)
const forScope = (scope: string, of = fixture) =>
  `resource=${encodeURIComponent(of.resourceServer.identifier)}&scope=${encodeURIComponent(scope)}`

/** The headers for the API behind the proxy. */
function identityOf(answer: Answer): Record<string, string> {
  return Object.fromEntries([...answer.headers].filter(([name]) => name.startsWith('x-auth-')))
}

function expectLetIn(answer: Answer): void {
  expect([answer.status, answer.text]).toEqual([204, ''])
}

async function expectTurnedAway(answer: Answer, reason: string, challenge: string): Promise<void> {
  const [status, error] = challenge.includes('insufficient_scope')
    ? [403, 'insufficient_scope']
    : [401, 'invalid_token']
  // Both are answers of the end client: unlike the envelope of other endpoints a 403 has a challenge as well.
  expect([answer.status, answer.body.error]).toEqual([status, error])
  expect(Object.keys(answer.body)).toEqual(['error', 'error_description'])
  expect(answer.headers.get('www-authenticate')).toBe(challenge)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(identityOf(answer)).toEqual({})
  expect(await findLogLine(server, answer)).toMatchObject({ reason, callerId: fixture.resourceServer.id })
}

const MISSING = 'Bearer realm="countersign"'
const INVALID = 'Bearer realm="countersign", error="invalid_token"'

describe('a token that holds', () => {
  test('is let in, with who it is and what it may do, in headers that nobody may keep', async () => {
    const answer = await askWith(token)
    expectLetIn(answer)
    expect(identityOf(answer)).toEqual({
      'x-auth-subject': fixture.accountId,
      'x-auth-account': fixture.accountId,
      'x-auth-scopes': 'read write',
      'x-auth-organization': fixture.organizationId,
      'x-auth-key': fixture.keyId,
    })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const { body } = await fixture.introspect(token)
    expect(await findLogLine(server, answer)).toMatchObject({
      callerId: fixture.resourceServer.id,
      tokenId: body.jti,
    })
  })

  test('may be opaque', async () => {
    const opaque = await server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
    expectLetIn(await askWith(await opaque.getToken(), undefined, opaque))
  })

  test('may be an API token, with all that its account may do at this resource server', async () => {
    const apiToken = await createApiToken(server, fixture)
    const answer = await askWith(apiToken.token)
    expectLetIn(answer)
    expect(identityOf(answer)).toMatchObject({
      'x-auth-subject': fixture.accountId,
      'x-auth-scopes': 'read write',
      'x-auth-key': apiToken.keyId,
    })
    await must(server.api('PATCH', apiToken.keyPath, { status: 'disabled' }))
    await expectTurnedAway(await askWith(apiToken.token), 'token_invalid', INVALID)
  })

  test('may act for an end user: subject is the user, account is who acts', async () => {
    const acting = await server.createFixture({ algorithm: 'ES256' })
    const permissions = [{ resource_server_id: acting.resourceServer.id, permission: 'read' }]
    await must(server.api('PATCH', acting.accountPath, { delegation: { subjects: ['user-*'], permissions } }))
    // Whatever a subject may be made of passes through a header as it is.
    const subject = `user-!"#$%&'(),/:;<=>?@[\\]^\`{|}~%0d%0aX-Auth-Scopes:admin`
    const assertion = await acting.assertion({ sub: subject })
    const { access_token: delegated } = (await acting.requestToken({ assertion })).body
    const answer = await askWith(delegated, undefined, acting)
    expectLetIn(answer)
    expect(identityOf(answer)).toMatchObject({
      'x-auth-subject': subject,
      'x-auth-account': acting.accountId,
      'x-auth-scopes': 'read',
    })
  })

  test.each(['bearer', 'BEARER'])('may come under the scheme %s', async (scheme) => {
    expectLetIn(await ask({ authorization: `${scheme} ${token}` }))
  })

  test('is let in again and again: each request asks anew, none is used up', async () => {
    for (const answer of await Promise.all(Array.from({ length: 20 }, () => askWith(token)))) {
      expectLetIn(answer)
    }
  })
})

describe('a client without a token that holds gets 401 and the challenge, never another status', () => {
  test.each<[string, string | undefined]>([
    ['nothing', undefined],
    ['Basic credentials', `Basic ${Buffer.from('a:b').toString('base64')}`],
    ['another scheme', 'Negotiate abc'],
    ['an empty header', ''],
  ])('%s', async (_what, authorization) => {
    await expectTurnedAway(await ask({ authorization }), 'token_missing', MISSING)
  })

  test.each(['Bearer', 'Bearer a b', 'Bearer  a', 'Bearer a"b', 'Bearer =', 'Bearer cst_a,cst_b'])(
    'the malformed header «%s»: a 400 would reach the client as a 500 of nginx',
    async (authorization) => {
      await expectTurnedAway(await ask({ authorization }), 'token_invalid', INVALID)
    },
  )

  test('two Authorization headers, since the API may read the other one', async () => {
    const { identifier, secret } = fixture.resourceServer
    const answer = await sendRaw(server, {
      method: 'GET',
      path: `/oauth/forward-auth?resource=${encodeURIComponent(identifier)}`,
      headers: {
        'x-resource-server-secret': secret,
        authorization: [`Bearer ${token}`, 'Bearer other'],
      },
    })
    await expectTurnedAway(answer, 'token_invalid', INVALID)
  })

  test.each<[string, () => Promise<string>]>([
    ['garbage', async () => 'garbage'],
    ['a token that nobody issued', async () => `cst_${randomBytes(32).toString('base64url')}`],
    ['a forged signature', async () => `${token.split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`],
    ['an assertion', async () => fixture.assertion()],
    ['a secret of the resource server', async () => fixture.resourceServer.secret],
    ['a token for the management API', () => server.operatorToken()],
    ['a token for another resource server', async () => (await server.createFixture()).getToken()],
  ])('%s', async (_what, present) => {
    await expectTurnedAway(await askWith(await present()), 'token_invalid', INVALID)
  })

  test('an API token of an account that may do nothing here', async () => {
    const other = await server.createFixture({ algorithm: 'ES256' })
    const apiToken = await createApiToken(server, other)
    await expectTurnedAway(await askWith(apiToken.token), 'token_invalid', INVALID)
  })

  test('an expired one', async () => {
    const expiring = await fixture.getToken()
    server.clock.advance(900)
    await expectTurnedAway(await askWith(expiring), 'token_invalid', INVALID)
    token = await fixture.getToken()
  })

  test('the answer does not tell why', async () => {
    const answers = [
      await askWith('garbage'),
      await askWith(await server.operatorToken()),
      await askWith(`cst_${randomBytes(32).toString('base64url')}`),
    ]
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  })
})

describe('what is taken away is gone with the next request', () => {
  test.each<[string, (of: Fixture, presented: string) => Promise<Answer>]>([
    ['a deleted key', (of) => server.api('DELETE', `${of.accountPath}/keys/${of.keyId}`)],
    [
      'a disabled key',
      (of) => server.api('PATCH', `${of.accountPath}/keys/${of.keyId}`, { status: 'disabled' }),
    ],
    ['a disabled account', (of) => server.api('PATCH', of.accountPath, { status: 'disabled' })],
    [
      'a disabled organization',
      (of) => server.api('PATCH', `/organizations/${of.organizationId}`, { status: 'disabled' }),
    ],
    [
      'a revoked token',
      async (of, presented) => {
        const { jti } = (await of.introspect(presented)).body
        return server.api('DELETE', `${of.accountPath}/tokens/${jti}`)
      },
    ],
    ['the last permission', (of) => server.api('PATCH', of.accountPath, { permissions: [] })],
  ])('%s', async (_what, takeAway) => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const presented = await own.getToken()
    expectLetIn(await askWith(presented, undefined, own))
    await must(takeAway(own, presented))
    const answer = await askWith(presented, undefined, own)
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, INVALID])
  })

  test('one permission of two: the headers and the demand know at once', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const presented = await own.getToken()
    expectLetIn(await askWith(presented, forScope('write', own), own))
    await must(
      server.api('PATCH', own.accountPath, {
        permissions: [{ resource_server_id: own.resourceServer.id, permission: 'read' }],
      }),
    )
    expect((await askWith(presented, forScope('write', own), own)).status).toBe(403)
    expect(identityOf(await askWith(presented, undefined, own))['x-auth-scopes']).toBe('read')
  })
})

describe('scope demands permissions', () => {
  test('all of those it names, in any order', async () => {
    expectLetIn(await askWith(token, forScope('read')))
    expectLetIn(await askWith(token, forScope('write read')))
  })

  test('a token that lacks one of them gets 403, and the challenge names what is needed', async () => {
    const narrow = await fixture.getToken({ scope: 'read' })
    const answer = await askWith(narrow, forScope('read write'))
    const challenge = 'Bearer realm="countersign", error="insufficient_scope", scope="read write"'
    await expectTurnedAway(answer, 'scope_insufficient', challenge)
  })

  test('the challenge names it to who has no token, too', async () => {
    const answer = await ask({ query: forScope('read') })
    await expectTurnedAway(answer, 'token_missing', `${MISSING}, scope="read"`)
    const bad = await askWith('garbage', forScope('read'))
    await expectTurnedAway(bad, 'token_invalid', `${INVALID}, scope="read"`)
  })

  test('a part of a permission’s name is none', async () => {
    for (const scope of ['rea', 'reads', 'READ', 'read*'])
      expect((await askWith(token, forScope(scope))).status).toBe(403)
  })
})

describe('the proxy proves to be the resource server', () => {
  async function expectNotProven(answer: Answer, reason: string): Promise<void> {
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason })
    expect(identityOf(answer)).toEqual({})
  }

  test.each([undefined, ''])('without a secret (%s) nothing is told', async (secret) => {
    await expectNotProven(await ask({ secret, authorization: `Bearer ${token}` }), 'credentials_missing')
  })

  test('a wrong secret, another’s, and an unknown resource are refused alike', async () => {
    const other = await server.createFixture({ algorithm: 'ES256' })
    const authorization = `Bearer ${token}`
    const answers = [
      await ask({ authorization, secret: 'css_wrong' }),
      await ask({ authorization, secret: other.resourceServer.secret }),
      await ask({ authorization, query: 'resource=https%3A%2F%2Funknown.example' }),
      await ask({ authorization, query: `resource=${fixture.resourceServer.id}` }),
    ]
    for (const answer of answers) await expectNotProven(answer, 'credentials_invalid')
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
  })

  test('a secret that the client adds to the proxy’s own spoils it', async () => {
    const { identifier, secret } = fixture.resourceServer
    const answer = await sendRaw(server, {
      method: 'GET',
      path: `/oauth/forward-auth?resource=${encodeURIComponent(identifier)}`,
      headers: { authorization: `Bearer ${token}`, 'x-resource-server-secret': [secret, 'css_x'] },
    })
    await expectNotProven(answer, 'credentials_invalid')
  })

  test('a wrong secret with a good token is answered as with a bad one', async () => {
    const good = await ask({ secret: 'css_wrong', authorization: `Bearer ${token}` })
    const bad = await ask({ secret: 'css_wrong', authorization: 'Bearer garbage' })
    expect(good.text).toBe(bad.text)
  })

  test('credentials in Authorization are the client’s, and no secret', async () => {
    const { authorization } = fixture.resourceServer
    await expectNotProven(await ask({ secret: undefined, authorization }), 'credentials_missing')
  })

  test('a deleted secret is refused from then on, another one goes on', async () => {
    const { id } = fixture.resourceServer
    const { secret, client_secret } = await must(server.api('POST', `/resource-servers/${id}/secrets`, {}))
    const authorization = `Bearer ${token}`
    expectLetIn(await ask({ authorization, secret: client_secret }))
    await must(server.api('DELETE', `/resource-servers/${id}/secrets/${secret.id}`))
    await expectNotProven(await ask({ authorization, secret: client_secret }), 'credentials_invalid')
    expectLetIn(await ask({ authorization }))
  })

  test('the use of its secret is noted', async () => {
    const { items } = await must(server.api('GET', `/resource-servers/${fixture.resourceServer.id}/secrets`))
    expect(items.map((item: { last_used_at: string | null }) => item.last_used_at)).toEqual([
      expect.any(String),
    ])
  })
})

describe('the question stands in a configuration, and is read strictly', () => {
  const good = () => `resource=${encodeURIComponent(fixture.resourceServer.identifier)}`

  test.each<[string, () => string, string]>([
    ['no resource', () => '', 'parameter_missing'],
    ['an empty resource', () => 'resource=', 'parameter_missing'],
    ['resource twice', () => `${good()}&${good()}`, 'parameter_repeated'],
    ['scope twice', () => `${good()}&scope=read&scope=read`, 'parameter_repeated'],
    ['an empty scope, which must not pass for none', () => `${good()}&scope=`, 'parameter_missing'],
    ['a misspelt scope', () => `${good()}&scopes=admin`, 'request_malformed'],
    ['a name in brackets', () => `${good()}&scope[]=admin`, 'request_malformed'],
    ['__proto__', () => `${good()}&__proto__[scope]=admin`, 'request_malformed'],
    ['a percent-sequence that is not UTF-8', () => `${good()}&scope=%ff`, 'request_malformed'],
    ['a NUL', () => `${good()}%00`, 'request_malformed'],
  ])('%s', async (_what, query, reason) => {
    const answer = await ask({ query: query(), authorization: `Bearer ${token}` })
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason })
  })

  test.each(['read%20%20write', '%22read%22', 'read%5C', 'r%C3%A9ad', 'read%0d%0aX-Auth-Subject:%20x'])(
    'the scope «%s», which could not stand in a challenge',
    async (scope) => {
      const answer = await ask({ query: `${good()}&scope=${scope}` })
      await expectRefusalFor(server, answer, { error: 'invalid_scope', reason: 'scope_malformed' })
    },
  )

  test('a token in the query is refused, with and without one in the header, and not logged', async () => {
    for (const name of ['access_token', 'token']) {
      const query = `${good()}&${name}=${token}`
      for (const authorization of [undefined, `Bearer ${token}`]) {
        const answer = await ask({ query, authorization })
        await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
      }
    }
    expect(JSON.stringify(server.logs())).not.toContain(token)
  })
})

describe('methods', () => {
  const authorization = () => `Bearer ${token}`

  test('HEAD is answered like GET', async () => {
    const answer = await ask({ method: 'HEAD', authorization: authorization() })
    expectLetIn(answer)
    expect(identityOf(answer)['x-auth-subject']).toBe(fixture.accountId)
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is not served', async (method) => {
    const answer = await ask({ method, authorization: authorization() })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'Envoy asks with %s, the method at hand, and is told 200',
    async (method) => {
      const path = '/oauth/forward-auth/envoy'
      const answer = await ask({ method, path, authorization: authorization() })
      expect([answer.status, answer.text]).toEqual([200, ''])
      expect(identityOf(answer)['x-auth-subject']).toBe(fixture.accountId)
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect((await ask({ method, path })).status).toBe(401)
      expect((await ask({ method, path, secret: 'css_wrong' })).status).toBe(400)
    },
  )

  test.each(['/oauth/forward-auth/', '/oauth/forward-auth/envoy/invoices/1', '/oauth/forward-auth/x'])(
    'a path that a client could have written, %s, is nothing',
    async (path) => {
      expect((await ask({ path, authorization: authorization() })).status).toBe(404)
    },
  )

  test('a body is not read', async () => {
    const { identifier, secret } = fixture.resourceServer
    const answer = await sendRaw(server, {
      method: 'GET',
      path: `/oauth/forward-auth?resource=${encodeURIComponent(identifier)}`,
      headers: {
        'x-resource-server-secret': secret,
        authorization: authorization(),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: `scope=admin&access_token=${'x'.repeat(200_000)}`,
    })
    expectLetIn(answer)
  })

  test('what the client says of itself decides nothing', async () => {
    const headers = {
      'x-auth-subject': 'admin',
      'x-auth-scopes': 'admin',
      'x-forwarded-uri': '/?scope=admin',
      'x-original-method': 'GET',
      origin: 'https://evil.example',
      cookie: 'a=b',
    }
    const answer = await ask({ authorization: authorization(), headers })
    expectLetIn(answer)
    expect(identityOf(answer)).toMatchObject({
      'x-auth-subject': fixture.accountId,
      'x-auth-scopes': 'read write',
    })
    expect((await ask({ headers })).status).toBe(401)
  })
})

test('every answer is counted, and every refusal by its reason', async () => {
  const counted = async (name: string) => {
    const { values } = await server.metrics.registry.getSingleMetric(name)!.get()
    return values.filter(({ labels }) => labels.endpoint === 'forward_auth').map(({ labels }) => labels)
  }
  expect(await counted('countersign_requests_total')).toEqual(
    expect.arrayContaining([expect.objectContaining({ status: '204' })]),
  )
  expect((await counted('countersign_refusals_total')).map(({ reason }) => reason)).toEqual(
    expect.arrayContaining(['token_missing', 'token_invalid', 'scope_insufficient', 'credentials_invalid']),
  )
})
