import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  createClient,
  createOrganization,
  expectProblem,
  pointersOf,
  request,
} from '../support/management.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { parseYaml } from '../support/yaml.ts'

const published: { code: string; status: number }[] = parseYaml(readFileSync('openapi.yaml', 'utf8'))[
  'x-problems'
]

let server: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

const JSON_TYPE = { 'content-type': 'application/json' }

/** One of each kind of error that the management API has: ours, the framework's, authentication's. */
async function errors(): Promise<Record<string, Answer>> {
  const token = await server.operatorToken()
  const { id } = await createOrganization(server)
  const client = await createClient(server, { organizationId: id, permissions: ['audit:read'] })
  const post = (headers: Record<string, string>, body: string) =>
    request(server, 'POST', '/organizations', { token, headers, body })
  return {
    'broken JSON': await post(JSON_TYPE, '{'),
    'a wrong type': await post({ 'content-type': 'text/xml' }, '<a/>'),
    'a large body': await post(JSON_TYPE, JSON.stringify({ name: 'x'.repeat(100_000) })),
    'an encoded body': await post({ ...JSON_TYPE, 'content-encoding': 'br' }, 'x'),
    'invalid input': await post(JSON_TYPE, '{}'),
    'an unknown path': await request(server, 'GET', '/nowhere'),
    'an undecodable path': await request(server, 'GET', '/organizations/%zz', { token }),
    'a wrong method': await request(server, 'PUT', '/organizations'),
    'an unknown id': await server.api('GET', `/organizations/org_${'0'.repeat(36)}`),
    'a conflict': await server.api('POST', '/organizations', { slug: 'operator', name: 'x' }),
    'no credentials': await request(server, 'GET', '/me'),
    'a bad token': await request(server, 'GET', '/me', { token: 'nope' }),
    'a missing permission': await client.call('GET', '/organizations'),
    'a bad query': await server.api('GET', '/organizations?limit=x'),
  }
}

let all: Record<string, Answer>
beforeAll(async () => {
  all = await errors()
})

test('[9457-3-1] every error is application/problem+json, whatever Accept says', async () => {
  for (const answer of Object.values(all))
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/)
  for (const accept of ['text/html', 'application/json', 'image/png', '*/*;q=0']) {
    const answer = await request(server, 'GET', '/nowhere', { headers: { accept } })
    expectProblem(answer, 404, 'not_found')
  }
})

test('[9457-3-2] status is the HTTP status, a number', () => {
  for (const answer of Object.values(all)) expect(answer.body.status).toBe(answer.status)
})

test('[9457-3-3] type is an absolute URI, the same for each code, from the published list', () => {
  for (const answer of Object.values(all)) {
    expect(answer.body.type).toBe(`${server.issuer}/docs/problems#${answer.body.code}`)
    expect(published).toContainEqual(
      expect.objectContaining({ code: answer.body.code, status: answer.status }),
    )
  }
})

test('[9457-3-4] title is constant for each type, detail helps and tells nothing of the inside', async () => {
  const again = await errors()
  for (const [name, answer] of Object.entries(all)) {
    expect(again[name]?.body.title).toBe(answer.body.title)
    expectProblem(answer, answer.status, answer.body.code)
  }
  const byType = new Map(Object.values(all).map(({ body }) => [body.type, body.title]))
  expect(new Set(byType.values()).size).toBe(byType.size)
})

test('[9457-3-5] instance names one occurrence, by its request id', async () => {
  const [one, other] = [await request(server, 'GET', '/me'), await request(server, 'GET', '/me')]
  expect(one.body.instance).not.toBe(other.body.instance)
  expect(one.body.instance).toContain(one.headers.get('x-request-id'))
})

test('[9457-3-6] three faults in a body are three pointers into it', async () => {
  const answer = await server.api('POST', '/organizations', {
    slug: 'UPPER',
    name: 7,
    'a/b~c': true,
    settings: { max_keys_per_account: 0 },
  })
  expectProblem(answer, 422, 'input_invalid')
  expect(pointersOf(answer).sort()).toEqual(['/a~1b~0c', '/name', '/settings/max_keys_per_account', '/slug'])
  for (const fault of answer.body.errors) expect(fault.detail).not.toContain('UPPER')
})

test('[9457-3-7] errors of authentication keep their challenge', () => {
  for (const name of ['no credentials', 'a bad token', 'a missing permission'])
    expect(all[name]?.headers.get('www-authenticate')).toMatch(/^Bearer realm="/)
})

test('[9457-3-8] OAuth errors are never problems, and problems never OAuth errors', async () => {
  const oauth = [
    await server.post('/oauth/token', {}),
    await server.post('/oauth/token', { grant_type: 'nope' }),
    await server.post('/oauth/introspect', { token: 'x' }),
    await fixture.requestToken({ assertion: 'x' }),
  ]
  for (const answer of oauth) {
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.body).toHaveProperty('error')
    expect(answer.body).not.toHaveProperty('type')
  }
  for (const answer of Object.values(all)) expect(answer.body).not.toHaveProperty('error')
})

test('[9457-3-9] the framework’s errors are problems too', () => {
  const told = Object.fromEntries(
    Object.entries(all).map(([name, { status, body }]) => [name, [status, body.code]]),
  )
  expect(told).toMatchObject({
    'broken JSON': [400, 'request_malformed'],
    'an unknown path': [404, 'not_found'],
    'an undecodable path': [404, 'not_found'],
    'a wrong method': [405, 'method_not_allowed'],
    'a large body': [413, 'body_too_large'],
    'a wrong type': [415, 'media_type_unsupported'],
    'an encoded body': [415, 'media_type_unsupported'],
  })
  expect(all['a wrong method']?.headers.get('allow')).toBe('GET, HEAD, POST')
})
