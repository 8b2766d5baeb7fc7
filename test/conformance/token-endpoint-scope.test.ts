import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { decode } from '../support/jwt.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

let server: TestServer
/** Has `read` and `write`; the resource server also knows `admin`. */
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

function askInForm(scope: string): Promise<Answer> {
  return fixture.requestToken({ form: { scope } })
}

async function askInClaim(scope: string): Promise<Answer> {
  return fixture.requestToken({ assertion: await fixture.assertion({ scope }) })
}

async function expectInvalidScope(reason: string, ask: () => Promise<Answer>): Promise<void> {
  const answer = await expectNothingIssued(server, ask)
  await expectRefusalFor(server, answer, { error: 'invalid_scope', reason })
}

test.each([
  'rea"d',
  'rea\\d',
  'read\u007f',
  'read\twrite',
  'read\nwrite',
  'réad',
  'read\u00a0write',
  'read\u3000write',
  '\ud83d\ude00',
  'read  write',
  ' read',
  'read ',
  ' ',
])('[6749-3.3-1] the scope %j is malformed, in the form and in the assertion', async (scope) => {
  await expectInvalidScope('scope_malformed', () => askInForm(scope))
  await expectInvalidScope('scope_malformed', () => askInClaim(scope))
})

test('[6749-3.3-1] every character of the grammar is allowed', async () => {
  const characters = Array.from({ length: 0x5e }, (_, index) => String.fromCharCode(0x21 + index))
  const allowed = characters.filter((character) => character !== '"' && character !== '\\').join('')
  // Well-formed, and so refused only because nobody has it.
  await expectInvalidScope('scope_not_granted', () => askInForm(`read ${allowed}`))
})

test.each(['READ', 'Read', 'read WRITE'])('[6749-3.3-2] the scope %s is not read or write', async (scope) => {
  await expectInvalidScope('scope_not_granted', () => askInForm(scope))
})

test('[6749-3.3-2] the order of scopes does not matter', async () => {
  for (const scope of ['read write', 'write read']) {
    const answer = await askInForm(scope)
    expect(answer.status).toBe(200)
    expect(answer.body.scope.split(' ').sort()).toEqual(['read', 'write'])
  }
})

test('[6749-3.3-3] an omitted scope means all that the account has there, and is told', async () => {
  const answer = await fixture.requestToken()
  expect(answer).toMatchObject({ status: 200, body: { scope: 'read write' } })
  expect(decode(answer.body.access_token).claims.scope).toBe('read write')
})

test('[6749-3.3-3] without a scope, an account that has nothing gets nothing', async () => {
  const poor = await server.createFixture({ permissions: [] })
  await expectInvalidScope('scope_not_granted', () => poor.requestToken())
})

test('[6749-3.3-4] the answer names what was granted, without duplicates, when it is not what was asked', async () => {
  for (const [asked, granted] of [
    ['write read write', 'write read'],
    ['read read', 'read'],
  ] as const) {
    const answer = await askInForm(asked)
    expect(answer).toMatchObject({ status: 200, body: { scope: granted } })
    expect(decode(answer.body.access_token).claims.scope).toBe(granted)
  }
})

test('[6749-3.3-4] the scope of the assertion counts when the form has none, and is told', async () => {
  expect(await askInClaim('write')).toMatchObject({ status: 200, body: { scope: 'write' } })
  expect(await askInClaim('write write')).toMatchObject({ status: 200, body: { scope: 'write' } })
})

test.each(['read nosuch', 'nosuch', 'admin', 'read write admin'])(
  '[6749-3.3-5][7521-4.1-2] the scope %s, of which something is unknown or not assigned, is refused whole',
  async (scope) => {
    await expectInvalidScope('scope_not_granted', () => askInForm(scope))
    await expectInvalidScope('scope_not_granted', () => askInClaim(scope))
  },
)

test('[7521-4.1-2] the form gets no more than the assertion says, though the account has it', async () => {
  const assertion = await fixture.assertion({ scope: 'read' })
  await expectInvalidScope('scope_not_granted', () =>
    fixture.requestToken({ assertion, form: { scope: 'read write' } }),
  )
  const answer = await fixture.requestToken({ assertion, form: { scope: 'read' } })
  expect(answer).toMatchObject({ status: 200, body: { scope: 'read' } })
})

test('[7521-4.1-2] what was taken from the account is not granted any more', async () => {
  const other = await server.createFixture()
  await must(
    server.api('PATCH', other.accountPath, {
      permissions: [{ resource_server_id: other.resourceServer.id, permission: 'read' }],
    }),
  )
  await expectInvalidScope('scope_not_granted', () => other.requestToken({ form: { scope: 'write' } }))
  expect(await other.requestToken()).toMatchObject({ status: 200, body: { scope: 'read' } })
})
