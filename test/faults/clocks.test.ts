import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { expectRefusalFor } from '../conformance/support.ts'
import { type Fixture, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { createTestClock } from '../support/test-clock.ts'

const JUMP_SECONDS = 300

let right: TestServer
let ahead: TestServer
let behind: TestServer
let fixture: Fixture

beforeAll(async () => {
  right = await startTestServer()
  const at = (seconds: number) => {
    const clock = createTestClock()
    clock.advance(seconds)
    return startTestServer({ connection: right.connection, issuer: right.issuer, clock })
  }
  ahead = await at(JUMP_SECONDS)
  behind = await at(-JUMP_SECONDS)
  fixture = await right.createFixture()
})
afterAll(async () => {
  await ahead.close()
  await behind.close()
  await right.close()
})

test('a node whose clock jumps ahead refuses what is about to expire, and burns nothing by it', async () => {
  const now = Math.floor(right.clock.now() / 1000)
  const assertion = await fixture.assertion({ iat: now, exp: now + 120 })
  const refused = await ask(ahead, assertion)
  await expectRefusalFor(ahead, refused, { error: 'invalid_grant', reason: 'assertion_expired' })
  expect((await ask(right, assertion)).status).toBe(200)
})

test('a node whose clock jumps back refuses what was signed just now, and burns nothing by it', async () => {
  const now = Math.floor(right.clock.now() / 1000)
  const assertion = await fixture.assertion({ iat: now, exp: now + 120 })
  const refused = await ask(behind, assertion)
  await expectRefusalFor(behind, refused, { error: 'invalid_grant', reason: 'assertion_not_yet_valid' })
  expect((await ask(right, assertion)).status).toBe(200)
})

test('an assertion that was used is refused as a replay also where the clock says that it has not expired yet', async () => {
  const now = Math.floor(right.clock.now() / 1000)
  const assertion = await fixture.assertion({ iat: now - 310, exp: now + 2 })
  expect((await ask(right, assertion)).status).toBe(200)
  const replayed = await ask(behind, assertion)
  await expectRefusalFor(behind, replayed, { error: 'invalid_grant', reason: 'assertion_replayed' })
})

test('tokens of a node with a wrong clock begin and end by the clock of the node that is asked', async () => {
  const now = Math.floor(right.clock.now() / 1000)
  const early = (await ask(ahead, await fixture.assertion({ iat: now, exp: now + 900 }))).body
  expect(await isActive(ahead, early.access_token)).toBe(true)
  expect(await isActive(right, early.access_token)).toBe(false)
  const late = (await ask(behind, await fixture.assertion({ iat: now - 300, exp: now + 300 }))).body
  for (const server of [right, behind]) expect(await isActive(server, late.access_token)).toBe(true)
  // Ended by the right clock, and five minutes later by the other one: that long a token may live on.
  const rest = late.expires_in - JUMP_SECONDS + 60
  right.clock.advance(rest)
  behind.clock.advance(rest)
  expect(await isActive(right, late.access_token)).toBe(false)
  expect(await isActive(behind, late.access_token)).toBe(true)
})

async function ask(server: TestServer, assertion: string) {
  return server.post('/oauth/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion,
  })
}

async function isActive(server: TestServer, token: string): Promise<boolean> {
  const headers = {
    authorization: fixture.resourceServer.authorization,
    'content-type': 'application/x-www-form-urlencoded',
  }
  const body = new URLSearchParams({ token }).toString()
  const answer = await toAnswer(
    await fetch(`${server.url}/oauth/introspect`, { method: 'POST', headers, body }),
  )
  expect(answer.status).toBe(200)
  return answer.body.active
}
