import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createTarpit } from '../../src/http/tarpit.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'

const FREE = 5
const DELAY_MILLISECONDS = 2_000
const MAX_HELD = 2

let server: TestServer
let fixture: Fixture

const LIMITS = { free: FREE, windowSeconds: 600, delayMilliseconds: DELAY_MILLISECONDS, maxHeld: MAX_HELD }

beforeAll(async () => {
  server = await startTestServer({ tarpit: createTarpit(LIMITS), trustedProxies: ['127.0.0.1'] })
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** Refused without a look at the database. */
async function sendGarbage(address: string, path = '/oauth/token') {
  const startedAt = performance.now()
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: 'x', token: 'x' }
  const answer = await server.post(path, form, { 'x-forwarded-for': address })
  return { ...answer, milliseconds: performance.now() - startedAt }
}

async function flood(address: string): Promise<void> {
  for (let sent = 0; sent < FREE; sent++) await sendGarbage(address)
}

test('a network that is refused all the time is answered late, and hears the same', async () => {
  await flood('192.0.2.1')
  const late = await sendGarbage('192.0.2.1')
  expect(late.milliseconds).toBeGreaterThanOrEqual(DELAY_MILLISECONDS - 5)
  expect(late).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})

test('a request that holds is not slowed down, whoever shares its address', async () => {
  await flood('192.0.2.2')
  const held = sendGarbage('192.0.2.2')
  const startedAt = performance.now()
  const form = {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: await fixture.assertion(),
  }
  expect((await server.post('/oauth/token', form, { 'x-forwarded-for': '192.0.2.2' })).status).toBe(200)
  expect(performance.now() - startedAt).toBeLessThan(DELAY_MILLISECONDS)
  await held
})

test('a network is counted for itself, and at all three endpoints', async () => {
  await flood('192.0.2.3')
  expect((await sendGarbage('192.0.2.4')).milliseconds).toBeLessThan(DELAY_MILLISECONDS)
  for (const path of ['/oauth/introspect', '/oauth/revoke']) {
    expect((await sendGarbage('192.0.2.3', path)).milliseconds).toBeGreaterThanOrEqual(DELAY_MILLISECONDS - 5)
  }
})

test('who sends far too much is answered late from the first time', async () => {
  const startedAt = performance.now()
  const answer = await server.post(
    '/oauth/token',
    { assertion: 'x'.repeat(200_000) },
    { 'x-forwarded-for': '192.0.2.99' },
  )
  expect(answer).toMatchObject({ status: 413, body: { error: 'invalid_request' } })
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(DELAY_MILLISECONDS - 5)
})

test('at the other doors whoever is not known is slowed down, and whoever is known is not', async () => {
  const headers = { 'x-forwarded-for': '192.0.2.6', 'content-type': 'application/json' }
  const send = async (method: string, path: string, more: Record<string, string>, body?: string) => {
    const startedAt = performance.now()
    const init = { method, headers: { ...headers, ...more }, ...(body === undefined ? {} : { body }) }
    const { status } = await fetch(server.url + path, init)
    return { status, isLate: performance.now() - startedAt >= DELAY_MILLISECONDS - 5 }
  }
  await flood('192.0.2.6')
  const operator = { authorization: `Bearer ${await server.operatorToken()}` }
  const signIn = JSON.stringify({ email: 'nobody@example.com', password: 'wrong' })
  expect(await send('GET', '/api/v1/organizations', { authorization: 'Bearer x' })).toEqual({
    status: 401,
    isLate: true,
  })
  expect(await send('GET', '/api/v1/organizations/org_unknown', operator)).toMatchObject({ isLate: false })
  expect(await send('POST', '/sign-in/password', { origin: server.url }, signIn)).toEqual({
    status: 401,
    isLate: true,
  })
})

test('who asks too much hears that late from the first time', async () => {
  const patient = createTarpit({ ...LIMITS, free: 1_000 })
  const other = await startTestServer({ tarpit: patient })
  try {
    const answers: { status: number; isLate: boolean }[] = []
    while (answers.length < 11) answers.push(await guess(other))
    expect(answers.slice(0, 10)).toEqual(Array(10).fill({ status: 401, isLate: false }))
    expect(answers[10]).toEqual({ status: 429, isLate: true })
  } finally {
    await other.close()
  }

  async function guess({ url }: TestServer) {
    const startedAt = performance.now()
    const body = JSON.stringify({ email: 'guessed@example.com', password: 'wrong' })
    const headers = { 'content-type': 'application/json', origin: url }
    const { status } = await fetch(`${url}/sign-in/password`, { method: 'POST', headers, body })
    return { status, isLate: performance.now() - startedAt >= DELAY_MILLISECONDS - 5 }
  }
})

test('no more are held than can be held: the others are answered at once, on connections that end', async () => {
  await flood('192.0.2.5')
  const answers = await Promise.all(Array.from({ length: MAX_HELD + 3 }, () => sendGarbage('192.0.2.5')))
  const atOnce = answers.filter(({ milliseconds }) => milliseconds < DELAY_MILLISECONDS - 5)
  expect(atOnce).toHaveLength(3)
  for (const { headers } of atOnce) expect(headers.get('connection')).toBe('close')
})
