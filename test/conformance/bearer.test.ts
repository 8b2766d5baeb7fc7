import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createClient, createOrganization, expectProblem, request } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let token: string
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
  token = await server.operatorToken()
})
afterAll(() => server.close())

const get = (headers: Record<string, string>, path = '/me') => request(server, 'GET', path, { headers })
const postForm = (form: string, headers: Record<string, string> = {}) =>
  request(server, 'POST', '/organizations', {
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: form,
  })

/** What every challenge says. */
const known = () => ({
  realm: 'countersign',
  resource_metadata: `${server.issuer}/.well-known/oauth-protected-resource/api/v1`,
})

/**
 * The parameters of the challenge (RFC 9110 §11.6.1): Bearer, each once, in plain quotes. Beside it there may be that
 * of DPoP, which its own tests look at.
 */
function challengeOf(answer: Answer): Record<string, string> {
  const [header = ''] = (answer.headers.get('www-authenticate') ?? '').split(', DPoP ')
  expect(header).toMatch(
    /^Bearer [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20-\x21\x23-\x5b\x5d-\x7e]*")*$/,
  )
  const pairs = [...header.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value])
  expect(new Set(pairs.map(([name]) => name)).size).toBe(pairs.length)
  return Object.fromEntries(pairs)
}

test.each(['Bearer', 'bearer', 'BEARER'])('[6750-2.1] the scheme may be written %s', async (scheme) => {
  expect((await get({ authorization: `${scheme} ${token}` })).status).toBe(200)
})

test('[6750-2.2] a token in a form is not read: there are no credentials', async () => {
  const answer = await postForm(`access_token=${token}`)
  expectProblem(answer, 401, 'credentials_missing')
  expect(challengeOf(answer)).toEqual({ ...known() })
})

test('[6750-2.3] a token in the query is not read, and not logged', async () => {
  const answer = await get({}, `/me?access_token=${token}`)
  expectProblem(answer, 401, 'credentials_missing')
  expect(challengeOf(answer)).toEqual({ ...known() })
  expect(JSON.stringify(server.logs())).not.toContain(token)
})

describe('more than one method is a malformed request', () => {
  const authorization = () => ({ authorization: `Bearer ${token}` })

  test('[6750-2-1] header and form', async () => {
    const answer = await postForm(`access_token=${token}`, authorization())
    expectProblem(answer, 400, 'credentials_ambiguous')
    expect(challengeOf(answer).error).toBe('invalid_request')
  })

  test('[6750-2-1] header and query', async () => {
    expectProblem(await get(authorization(), `/me?access_token=${token}`), 400, 'credentials_ambiguous')
  })
})

test.each<[string, Record<string, string>]>([
  ['nothing', {}],
  ['Basic', { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }],
  ['another scheme', { authorization: 'Negotiate abc' }],
])('[6750-3-1] %s is no credentials: a challenge without an error', async (_name, headers) => {
  const answer = await get(headers)
  expectProblem(answer, 401, 'credentials_missing')
  expect(challengeOf(answer)).toEqual({ ...known() })
})

describe('a token that does not hold', () => {
  const expectInvalid = async (bad: string) => {
    const answer = await get({ authorization: `Bearer ${bad}` })
    expectProblem(answer, 401, 'token_invalid')
    expect(challengeOf(answer)).toEqual({ ...known(), error: 'invalid_token' })
    return answer
  }
  const told = ({ body }: Answer) => ({ ...body, request_id: '', instance: '' })

  test('[6750-3-2] garbage, a forged one, one for another audience', async () => {
    const garbage = await expectInvalid('garbage')
    const [head, body] = token.split('.')
    await expectInvalid(`${head}.${body}.${'A'.repeat(86)}`)
    expect(told(await expectInvalid(await fixture.getToken()))).toEqual(told(garbage))
    const opaque = await server.createFixture({ tokenFormat: 'opaque' })
    await expectInvalid(await opaque.getToken())
  })

  test('[6750-3-2] a revoked one and an expired one', async () => {
    const { id } = await createOrganization(server)
    const options = { organizationId: id, permissions: ['audit:read'] }
    const [revoked, expired] = [await createClient(server, options), await createClient(server, options)]
    expect((await get({ authorization: `Bearer ${revoked.token}` })).status).toBe(200)
    await must(server.api('DELETE', `${revoked.accountPath}/tokens`))
    await expectInvalid(revoked.token)
    server.clock.advance(901)
    await expectInvalid(expired.token)
    token = await server.operatorToken()
  })
})

test('[6750-3-3] a missing privilege is named', async () => {
  const { id } = await createOrganization(server)
  const client = await createClient(server, { organizationId: id, permissions: ['audit:read'] })
  const answer = await client.call('POST', `/organizations/${id}/service-accounts`, { name: 'x' })
  expectProblem(answer, 403, 'permission_missing')
  expect(challengeOf(answer)).toEqual({
    ...known(),
    error: 'insufficient_scope',
    scope: 'service_accounts:manage',
  })
})

test.each([
  'Bearer',
  'Bearer ',
  'Bearer a b',
  'Bearer  a',
  'Bearer a"b',
  'Bearer a,b',
  'Bearer =',
  'Bearer tök',
])('[6750-3-4] «%s» is a malformed request', async (authorization) => {
  const answer = await get({ authorization: Buffer.from(authorization).toString('latin1') })
  expectProblem(answer, 400, 'credentials_malformed')
  expect(challengeOf(answer)).toEqual({ ...known(), error: 'invalid_request' })
})

test('[6750-3-5] every 401 and 403 has one challenge of plain characters, each attribute once', async () => {
  const { id } = await createOrganization(server)
  const client = await createClient(server, { organizationId: id, permissions: ['service_accounts:manage'] })
  const answers = [
    await get({}),
    await get({ authorization: 'Bearer nope' }),
    await client.call('GET', '/organizations'),
    await client.call('GET', `/organizations/${id}/audit-events`),
  ]
  expect(answers.map((answer) => answer.status)).toEqual([401, 401, 403, 403])
  for (const answer of answers) challengeOf(answer)
})

test('[6750-5.3] a token lives an hour at most unless somebody chose otherwise', async () => {
  const { body } = await fixture.requestToken()
  expect(body.expires_in).toBeLessThanOrEqual(3600)
})
