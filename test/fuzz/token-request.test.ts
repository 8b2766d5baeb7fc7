import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { countGrants, expectRefusal } from '../conformance/support.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { fuzz } from './inputs.ts'
import { formText, longText, wellFormedText } from './texts.ts'

const FORM = 'application/x-www-form-urlencoded'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** All that a client of this endpoint may meet for its own fault; RFC 6749 §5.2, RFC 8707 §2. */
const REGISTERED = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
])

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  // Wrong secrets are counted by address: each input comes from one of its own.
  server = await startTestServer({ keepsLogs: false, trustedProxies: ['127.0.0.1'] })
  fixture = await server.createFixture()
})
afterAll(() => server.close())

const parameterName = fc.oneof(
  fc.constantFrom('grant_type', 'assertion', 'scope', 'resource', 'client_id', 'client_secret'),
  fc.constantFrom('client_assertion', 'client_assertion_type', '__proto__', 'constructor', 'scope[]'),
  formText,
)
const scopeTokens = fc.array(fc.string({ unit: fc.constantFrom('a', '!', '~', ':', '"', '\\', 'é', '\t') }))

test('[6749-5.2-3][6749-5.2-5] any bytes under any media type are refused with a registered code', async () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.tuple(parameterName, wellFormedText))
      .map((pairs) => Buffer.from(new URLSearchParams(pairs).toString())),
    fc.oneof(wellFormedText, longText).map((value) => Buffer.from(value)),
  )
  const mediaType = fc.oneof(
    { weight: 6, arbitrary: fc.constant(FORM) },
    fc.constantFrom('', `${FORM};`, `${FORM};charset`, `${FORM};charset=`, `${FORM};charset="`, 'text/html'),
    fc.string({ unit: fc.constantFrom(...'abc/;=", +%') }).map((value) => value.trim()),
  )
  const before = await countGrants(server)
  await fuzz('token request, any bytes', fc.tuple(body, mediaType), async ([bytes, type]) => {
    const headers: Record<string, string> = type === '' ? {} : { 'content-type': type }
    expectRegistered(await sendRaw(server, { headers, body: bytes }))
  })
  expect(await countGrants(server)).toBe(before)
})

test('[6749-5.2-3][6749-5.2-4] a good assertion beside any other parameters is a token or a registered refusal', async () => {
  const parameters = fc.array(
    fc.tuple(fc.oneof(parameterName, fc.constantFrom('scope', 'resource', 'client_id')), wellFormedText),
    { maxLength: 6 },
  )
  await fuzz('token request', fc.tuple(parameters, fc.ipV4()), async ([pairs, ip]) => {
    const assertion = await fixture.assertion({ jti: undefined })
    const form: [string, string][] = [['grant_type', JWT_BEARER], ['assertion', assertion], ...pairs]
    const answer = await server.post('/oauth/token', form, { 'x-forwarded-for': ip })
    if (answer.status === 200) expect(answer.body.scope).toBe('read write')
    else expectRegistered(answer)
  })
})

test('[6749-3.3-1][6749-3.3-5] any scope, in form or assertion, is granted exactly or refused as invalid_scope', async () => {
  const known = fc.array(fc.constantFrom('read', 'write', 'admin', 'READ'), { minLength: 1, maxLength: 4 })
  const scope = fc.oneof(
    known.map((names) => names.join(' ')),
    scopeTokens.map((tokens) => tokens.join(' ')),
    formText,
  )
  await fuzz('token request, scope', fc.tuple(scope, fc.boolean()), async ([asked, inClaim]) => {
    const answer = await fixture.requestToken(
      inClaim ? { assertion: await fixture.assertion({ scope: asked }) } : { form: { scope: asked } },
    )
    const names = [...new Set(asked.split(' '))]
    const isGranted = names.every((name) => name === 'read' || name === 'write')
    // An empty value counts as absent: then the account has all that it may.
    if (asked === '') expect(answer).toMatchObject({ status: 200, body: { scope: 'read write' } })
    else if (isGranted) expect(answer).toMatchObject({ status: 200, body: { scope: names.join(' ') } })
    else expectRefusal(answer, 400, 'invalid_scope')
  })
})

test('[6749-5.2-3][7521-4.1.1][7523-2.1-5] any text as the assertion is invalid_grant', async () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc.constantFrom('', '.', Buffer.from('{"alg":"RS256"}').toString('base64url')),
  )
  const assertion = fc.oneof(
    fc.tuple(part, part, part).map((parts) => parts.join('.')),
    formText.filter((value) => value !== ''),
  )
  await fuzz('assertion, any text', assertion, async (value) => {
    const answer = await fixture.requestToken({ assertion: value })
    expectRefusal(answer, 400, 'invalid_grant')
  })
})

/** A refusal for the client's own fault, which is never a 500. */
function expectRegistered(answer: Answer): void {
  expect(REGISTERED).toContain(answer.body?.error)
  expectRefusal(answer, answer.status === 413 ? 413 : 400, answer.body.error)
}
