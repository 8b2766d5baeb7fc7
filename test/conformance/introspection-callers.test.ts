import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'
import { expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

let server: TestServer
let fixture: Fixture
/** Whose account may introspect for its resource server. */
let auditor: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  auditor = await server.createFixture({ algorithm: 'ES256', permissions: ['read', 'tokens:introspect'] })
})

afterAll(() => server.close())

const ENDPOINT = '/oauth/introspect'
const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
const ask = (token: string, authorization: string) => server.post(ENDPOINT, { token }, { authorization })
const askAs = (bearer: string, token: string) => ask(token, `Bearer ${bearer}`)

test('[7662-2.1-1] who presents no credentials is refused without a challenge', async () => {
  const token = await fixture.getToken()
  const answer = await server.post(ENDPOINT, { token })
  await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'credentials_missing' })
})

describe('failed client credentials are answered 401 with a challenge', () => {
  test.each<[string, () => string]>([
    ['a wrong secret', () => basic(fixture.resourceServer.id, 'css_wrong')],
    [
      'another resource server’s secret',
      () => basic(fixture.resourceServer.id, auditor.resourceServer.secret),
    ],
    ['an unknown resource server', () => basic('rs_unknown', fixture.resourceServer.secret)],
    [
      'an account in place of a resource server',
      () => basic(fixture.accountId, fixture.resourceServer.secret),
    ],
    ['no secret', () => basic(fixture.resourceServer.id, '')],
    ['no colon', () => `Basic ${Buffer.from('nothing').toString('base64')}`],
    ['no base64', () => 'Basic «»'.normalize().replaceAll(/[«»]/g, '%')],
    ['another scheme', () => 'Digest username="x"'],
  ])('[7662-2.1-2] %s', async (_what, authorization) => {
    const answer = await ask(await fixture.getToken(), authorization())
    expectRefusal(answer, 401, 'invalid_client')
    expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="countersign"/)
  })

  test('[7662-2.1-2] credentials in the body are refused like those in the header', async () => {
    const { id, secret } = fixture.resourceServer
    const answer = await server.post(ENDPOINT, {
      token: await fixture.getToken(),
      client_id: id,
      client_secret: secret,
    })
    expectRefusal(answer, 401, 'invalid_client')
  })

  test('[7662-2.1-2] a client assertion of an account is refused: it is no resource server', async () => {
    const answer = await server.post(ENDPOINT, {
      token: await fixture.getToken(),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await fixture.assertion({ aud: server.issuer }),
    })
    expectRefusal(answer, 401, 'invalid_client')
  })

  test('[7662-2.1-2] an unknown resource server and a wrong secret are answered alike', async () => {
    const token = await fixture.getToken()
    const wrong = await ask(token, basic(fixture.resourceServer.id, 'css_wrong'))
    const unknown = await ask(token, basic('rs_unknown', 'css_wrong'))
    expect(unknown.text).toBe(wrong.text)
    expect(unknown.headers.get('www-authenticate')).toBe(wrong.headers.get('www-authenticate'))
  })

  test('[7662-2.1-2] a deleted secret is refused from then on', async () => {
    const { id } = fixture.resourceServer
    const { secret, client_secret } = await must(server.api('POST', `/resource-servers/${id}/secrets`, {}))
    const token = await fixture.getToken()
    expect((await ask(token, basic(id, client_secret))).body.active).toBe(true)
    await must(server.api('DELETE', `/resource-servers/${id}/secrets/${secret.id}`))
    expectRefusal(await ask(token, basic(id, client_secret)), 401, 'invalid_client')
  })

  test('[7662-2.1-2] two methods at once are refused', async () => {
    const form = { token: await fixture.getToken(), client_secret: fixture.resourceServer.secret }
    const answer = await server.post(ENDPOINT, form, { authorization: fixture.resourceServer.authorization })
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'credentials_ambiguous' })
  })
})

describe('failed Bearer authorization is answered 401 with a challenge', () => {
  async function expectInvalidToken(answer: Answer, reason: string): Promise<void> {
    await expectRefusalFor(server, answer, { status: 401, error: 'invalid_token', reason })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="countersign", error="invalid_token"')
  }

  test('[7662-2.1-3] an access token without tokens:introspect', async () => {
    const token = await fixture.getToken()
    await expectInvalidToken(await askAs(await fixture.getToken(), token), 'permission_missing')
  })

  test('[7662-2.1-3] an access token that left tokens:introspect out, of an account that has it', async () => {
    const bearer = await auditor.getToken({ scope: 'read' })
    await expectInvalidToken(await askAs(bearer, await auditor.getToken()), 'permission_missing')
  })

  test('[7662-2.1-3] the introspected access token itself', async () => {
    const token = await auditor.getToken()
    await expectInvalidToken(await askAs(token, token), 'token_invalid')
  })

  test('[7662-2.1-3] an access token that nobody issued', async () => {
    const answer = await askAs('cst_unknown', await fixture.getToken())
    await expectInvalidToken(answer, 'token_invalid')
  })

  test('[7662-2.1-3] an assertion in place of an access token', async () => {
    const answer = await askAs(await auditor.assertion(), await auditor.getToken())
    await expectInvalidToken(answer, 'token_invalid')
  })

  test('[7662-2.1-3] a revoked access token', async () => {
    const bearer = await auditor.getToken()
    const { jti } = (await auditor.introspect(bearer)).body
    await must(server.api('DELETE', `${auditor.accountPath}/tokens/${jti}`))
    await expectInvalidToken(await askAs(bearer, await auditor.getToken()), 'token_invalid')
  })

  test('[7662-2.1-3] an expired access token', async () => {
    const bearer = await auditor.getToken()
    server.clock.advance(900)
    await expectInvalidToken(await askAs(bearer, await auditor.getToken()), 'token_invalid')
  })

  test.each(['Bearer', 'Bearer two tokens', 'Bearer «'])(
    '[7662-2.1-3] the header «%s»',
    async (authorization) => {
      const answer = await ask('cst_any', authorization.replace('«', '"'))
      expect(answer.status).toBe(401)
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/)
    },
  )

  test('[7662-2.1-3] a permission that was taken away counts no longer, at once', async () => {
    const dismissed = await server.createFixture({
      algorithm: 'ES256',
      permissions: ['read', 'tokens:introspect'],
    })
    const bearer = await dismissed.getToken()
    const token = await dismissed.getToken()
    expect((await askAs(bearer, token)).body.active).toBe(true)
    const permissions = [{ resource_server_id: dismissed.resourceServer.id, permission: 'read' }]
    await must(server.api('PATCH', dismissed.accountPath, { permissions }))
    await expectInvalidToken(await askAs(bearer, token), 'permission_missing')
  })
})

describe('an account with tokens:introspect speaks for that resource server alone', () => {
  test('[7662-2.1-4] it is told about the tokens of its resource server, like the resource server itself', async () => {
    const token = await auditor.getToken()
    const answer = await askAs(await auditor.getToken({ scope: 'tokens:introspect' }), token)
    expect(answer.status).toBe(200)
    expect(answer.body.active).toBe(true)
    expect(answer.body).toEqual((await auditor.introspect(token)).body)
  })

  test('[7662-2.1-4] it is told nothing about the tokens of another resource server', async () => {
    const answer = await askAs(await auditor.getToken(), await fixture.getToken())
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '{"active":false}' })
    expect(await findLogLine(server, answer)).toMatchObject({
      callerId: auditor.resourceServer.id,
      inactive: 'other_audience',
    })
  })

  test('[7662-2.1-4] an ordinary service account learns nothing about any token, not even of its own', async () => {
    const bearer = await fixture.getToken()
    const [own, others] = [await fixture.getToken(), await auditor.getToken()]
    for (const token of [own, others]) expectRefusal(await askAs(bearer, token), 401, 'invalid_token')
  })
})

describe('the request', () => {
  test.each<[string, readonly (readonly [string, string])[]]>([
    ['no token', []],
    ['an empty token', [['token', '']]],
    [
      'two tokens',
      [
        ['token', 'cst_a'],
        ['token', 'cst_a'],
      ],
    ],
    [
      'two hints',
      [
        ['token', 'cst_a'],
        ['token_type_hint', 'access_token'],
        ['token_type_hint', 'access_token'],
      ],
    ],
  ])('[7662-2.1-5] %s is refused', async (_what, form) => {
    const answer = await server.post(ENDPOINT, form, {
      authorization: fixture.resourceServer.authorization,
    })
    expectRefusal(answer, 400, 'invalid_request')
  })

  test('[7662-2.1-5] client_id may only be that of the caller', async () => {
    const headers = { authorization: fixture.resourceServer.authorization }
    const token = await fixture.getToken()
    const own = await server.post(ENDPOINT, { token, client_id: fixture.resourceServer.id }, headers)
    expect(own.body.active).toBe(true)
    const other = await server.post(ENDPOINT, { token, client_id: auditor.resourceServer.id }, headers)
    expectRefusal(other, 400, 'invalid_request')
  })

  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])(
    '[7662-2.1-6] %s is refused: tokens never travel in URLs',
    async (method) => {
      const token = await fixture.getToken()
      const answer = await toAnswer(
        await fetch(`${server.url}${ENDPOINT}?token=${token}`, {
          method,
          headers: { authorization: fixture.resourceServer.authorization },
        }),
      )
      expectRefusal(answer, 405, 'invalid_request')
      expect(answer.headers.get('allow')).toBe('POST')
      expect(JSON.stringify(await findLogLine(server, answer))).not.toContain(token)
    },
  )

  test('[7662-2.1-6] a token in the query of a POST is not read', async () => {
    const token = await fixture.getToken()
    const headers = { authorization: fixture.resourceServer.authorization }
    expectRefusal(await server.post(`${ENDPOINT}?token=${token}`, {}, headers), 400, 'invalid_request')
  })

  test.each(['access_token', 'refresh_token', 'urn:example:other', ''])(
    '[7662-2.1-7] the hint «%s» changes nothing',
    async (hint) => {
      const form = { token: await fixture.getToken(), token_type_hint: hint }
      const answer = await server.post(ENDPOINT, form, {
        authorization: fixture.resourceServer.authorization,
      })
      expect(answer.body.active).toBe(true)
    },
  )
})
