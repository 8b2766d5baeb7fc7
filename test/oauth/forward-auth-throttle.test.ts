import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Answer, type Fixture, startTestServer, type TestServer, toAnswer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let token: string

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  token = await fixture.getToken()
})

afterAll(() => server.close())

async function ask(secret: string, presented: string): Promise<Answer> {
  const resource = encodeURIComponent(fixture.resourceServer.identifier)
  const headers = { 'x-resource-server-secret': secret, authorization: `Bearer ${presented}` }
  return toAnswer(await fetch(`${server.url}/oauth/forward-auth?resource=${resource}`, { headers }))
}

const many = (count: number, send: () => Promise<Answer>) =>
  Promise.all(Array.from({ length: count }, send)).then((answers) => answers.map(({ status }) => status))

test('who guesses secrets is told to wait; the right one is let in all the same', async () => {
  const statuses = await many(70, () => ask(`css_${randomBytes(32).toString('base64url')}`, token))
  expect(statuses.filter((status) => status === 400)).toHaveLength(60)
  expect(statuses.filter((status) => status === 429)).toHaveLength(10)
  expect((await ask('css_wrong', token)).headers.get('retry-after')).toMatch(/^[1-9]\d?$/)
  expect((await ask(fixture.resourceServer.secret, token)).status).toBe(204)
  // At introspection they are the same guesses.
  const introspection = await server.post(
    '/oauth/introspect',
    { token },
    { authorization: `Basic ${Buffer.from(`${fixture.resourceServer.id}:css_wrong`).toString('base64')}` },
  )
  expect(introspection.status).toBe(429)
})

test('who sends made-up tokens is told to wait; tokens that exist are judged all the same', async () => {
  const fish = () => ask(fixture.resourceServer.secret, `cst_${randomBytes(32).toString('base64url')}`)
  const statuses = await many(320, fish)
  expect(statuses.filter((status) => status === 401)).toHaveLength(300)
  expect(statuses.filter((status) => status === 429)).toHaveLength(20)
  expect((await ask(fixture.resourceServer.secret, token)).status).toBe(204)
  await server.api('DELETE', fixture.accountPath)
  expect((await ask(fixture.resourceServer.secret, token)).status).toBe(401)
})
