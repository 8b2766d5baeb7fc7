import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectRefusal, expectRefusalFor } from './support.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

const madeUp = () => `cst_${randomBytes(32).toString('base64url')}`

/** Asks about that many tokens which nobody ever issued, fifty at a time. */
async function fish(fixture: Fixture, count: number): Promise<Answer[]> {
  const answers: Answer[] = []
  while (answers.length < count)
    answers.push(...(await Promise.all(Array.from({ length: 50 }, () => fixture.introspect(madeUp())))))
  return answers
}

describe('a caller that asks about 1000 tokens which nobody ever issued', () => {
  let fixture: Fixture
  let live: string
  let answers: Answer[]

  beforeAll(async () => {
    fixture = await server.createFixture({ algorithm: 'ES256' })
    live = await fixture.getToken()
    answers = await fish(fixture, 1000)
  })

  test('[7662-4-2] is told to wait, and for how long', async () => {
    const answered = answers.filter((answer) => answer.status === 200)
    const refused = answers.filter((answer) => answer.status === 429)
    expect(answered).toHaveLength(300)
    expect(refused).toHaveLength(700)
    for (const answer of refused) {
      expectRefusal(answer, 429, 'temporarily_unavailable')
      const seconds = Number(answer.headers.get('retry-after'))
      expect(seconds).toBeGreaterThanOrEqual(1)
      expect(seconds).toBeLessThanOrEqual(60)
    }
  })

  test('[7662-4-2] is still told about tokens that exist, so that made-up ones close no API', async () => {
    expect((await fixture.introspect(live)).body.active).toBe(true)
    await server.api('DELETE', fixture.accountPath)
    expect((await fixture.introspect(live)).text).toBe('{"active":false}')
  })

  test('[7662-4-2] keeps nobody else waiting: it is the caller that is counted, not the token', async () => {
    const other = await server.createFixture({ algorithm: 'ES256' })
    const token = madeUp()
    expect((await other.introspect(token)).text).toBe('{"active":false}')
    const refused = await fixture.introspect(token)
    await expectRefusalFor(server, refused, {
      status: 429,
      error: 'temporarily_unavailable',
      reason: 'too_many_requests',
    })
  })
})

describe('a hostile token', () => {
  test.each<[string, string, number]>([
    ['of 120 KB', `token=${'a'.repeat(120_000)}`, 200],
    ['of a megabyte', `token=${'a'.repeat(1_000_000)}`, 413],
    ['with a NUL', 'token=cst_%00', 400],
    ['that is JSON', `token=${encodeURIComponent('{"token":"x"}')}`, 200],
    ['that is no UTF-8', 'token=%ff', 400],
    ['in brackets', 'token[]=x', 400],
    ['that speaks SQL', `token=${encodeURIComponent("cst_' or 1=1; --")}`, 200],
    [
      'with deep JSON in its header',
      `token=${Buffer.from('['.repeat(9000)).toString('base64url')}.e30.AA`,
      200,
    ],
  ])('[7662-4-3] %s is never more than not active', async (_what, form, status) => {
    const { resourceServer } = await server.createFixture({ algorithm: 'ES256' })
    const answer = await server.post('/oauth/introspect', form, {
      authorization: resourceServer.authorization,
    })
    expect(answer.status).toBe(status)
    if (status === 200) expect(answer.text).toBe('{"active":false}')
    else expectRefusal(answer, status, 'invalid_request')
  })
})
