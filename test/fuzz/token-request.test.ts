import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Refusal } from '../../src/errors.ts'
import { findAll, parseForm } from '../../src/http/form.ts'
import { parseScope } from '../../src/tokens/scope.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { countGrants, expectRefusal } from './support.ts'

const FORM = 'application/x-www-form-urlencoded'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const RUNS = 200
const PURE_RUNS = 500
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
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** Well-formed Unicode without NUL, the empty string and awkward characters often among it. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
  fc.constantFrom('', ' ', '+', '%', '%2', '&', '=', '&=', '%2b', '"', '\\', '\r\n', '\u007f', '\ufeff'),
)
const clean = text.filter((value) => !value.includes('\0'))
const parameterName = fc.oneof(
  fc.constantFrom('grant_type', 'assertion', 'scope', 'resource', 'client_id', 'client_secret'),
  fc.constantFrom('client_assertion', 'client_assertion_type', '__proto__', 'constructor', 'scope[]'),
  clean,
)
const scopeTokens = fc.array(fc.string({ unit: fc.constantFrom('a', '!', '~', ':', '"', '\\', 'é', '\t') }))

test('[6749-3.2-12] every form comes back as it was sent, names with any meaning to JavaScript included', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(parameterName, clean), { maxLength: 100 }), (pairs) => {
      const form = parseForm(FORM, Buffer.from(new URLSearchParams(pairs).toString()))
      const names = new Set(pairs.map(([name]) => name))
      expect([...form.keys()].sort()).toEqual([...names].sort())
      for (const name of names) {
        const sent = pairs.filter(([candidate]) => candidate === name).map(([, value]) => value)
        expect(form.get(name)).toEqual(sent)
        expect(findAll(form, name)).toEqual(sent.filter((value) => value !== ''))
      }
    }),
    { numRuns: PURE_RUNS },
  )
})

test('[6749-3.2-4] bytes are a form in UTF-8 or are refused, never anything else', () => {
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary' }).map(Buffer.from))
  fc.assert(
    fc.property(bytes, (body) => {
      const form = parseOrRefusal(body)
      if (form instanceof Refusal) {
        expect(form.reason).toBe('request_malformed')
        return
      }
      for (const value of [...form.keys(), ...[...form.values()].flat()]) {
        expect(value.isWellFormed()).toBe(true)
        expect(value).not.toContain('\0')
      }
    }),
    { numRuns: PURE_RUNS },
  )
})

test('[6749-3.3-1] a scope is what the grammar says and nothing else', () => {
  const value = fc.oneof(
    text,
    scopeTokens.map((tokens) => tokens.join(' ')),
    fc.string(),
  )
  fc.assert(
    fc.property(value, (scope) => {
      const parsed = attempt(() => parseScope(scope))
      if (!isScope(scope)) {
        expect((parsed as Refusal).reason).toBe('scope_malformed')
        return
      }
      expect(parsed).toEqual([...new Set(scope.split(' '))])
    }),
    { numRuns: PURE_RUNS },
  )
})

test('[6749-5.2-3][6749-5.2-5] any bytes under any media type are refused with a registered code', async () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.tuple(parameterName, text))
      .map((pairs) => Buffer.from(new URLSearchParams(pairs).toString())),
    fc.string({ unit: 'binary' }).map((value) => Buffer.from(value)),
  )
  const mediaType = fc.oneof(
    { weight: 6, arbitrary: fc.constant(FORM) },
    fc.constantFrom('', `${FORM};`, `${FORM};charset`, `${FORM};charset=`, `${FORM};charset="`, 'text/html'),
    fc.string({ unit: fc.constantFrom(...'abc/;=", +%') }).map((value) => value.trim()),
  )
  const before = await countGrants(server)
  await fc.assert(
    fc.asyncProperty(body, mediaType, async (bytes, type) => {
      const headers: Record<string, string> = type === '' ? {} : { 'content-type': type }
      expectRegistered(await sendRaw(server, { headers, body: bytes }))
    }),
    { numRuns: RUNS },
  )
  expect(await countGrants(server)).toBe(before)
})

test('[6749-5.2-3][6749-5.2-4] a good assertion beside any other parameters is a token or a registered refusal', async () => {
  const assertion = await fixture.assertion({ jti: undefined })
  const parameters = fc.array(
    fc.tuple(fc.oneof(parameterName, fc.constantFrom('scope', 'resource', 'client_id')), text),
    { maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(parameters, async (pairs) => {
      const form: [string, string][] = [['grant_type', JWT_BEARER], ['assertion', assertion], ...pairs]
      const answer = await server.post('/oauth/token', form)
      if (answer.status === 200) expect(answer.body.scope).toBe('read write')
      else expectRegistered(answer)
    }),
    { numRuns: RUNS },
  )
})

test('[6749-3.3-1][6749-3.3-5] any scope, in form or assertion, is granted exactly or refused as invalid_scope', async () => {
  const known = fc.array(fc.constantFrom('read', 'write', 'admin', 'READ'), { minLength: 1, maxLength: 4 })
  const scope = fc.oneof(
    known.map((names) => names.join(' ')),
    scopeTokens.map((tokens) => tokens.join(' ')),
    clean,
  )
  await fc.assert(
    fc.asyncProperty(scope, fc.boolean(), async (asked, inClaim) => {
      const answer = await fixture.requestToken(
        inClaim ? { assertion: await fixture.assertion({ scope: asked }) } : { form: { scope: asked } },
      )
      const names = [...new Set(asked.split(' '))]
      const isGranted = names.every((name) => name === 'read' || name === 'write')
      // An empty value counts as absent: then the account has all that it may.
      if (asked === '') expect(answer).toMatchObject({ status: 200, body: { scope: 'read write' } })
      else if (isGranted) expect(answer).toMatchObject({ status: 200, body: { scope: names.join(' ') } })
      else expectRefusal(answer, 400, 'invalid_scope')
    }),
    { numRuns: RUNS },
  )
})

test('[6749-5.2-3][7521-4.1.1][7523-2.1-5] any text as the assertion is invalid_grant', async () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc.constantFrom('', '.', Buffer.from('{"alg":"RS256"}').toString('base64url')),
  )
  const assertion = fc.oneof(
    fc.tuple(part, part, part).map((parts) => parts.join('.')),
    clean.filter((value) => value !== ''),
  )
  await fc.assert(
    fc.asyncProperty(assertion, async (value) => {
      const answer = await fixture.requestToken({ assertion: value })
      expectRefusal(answer, 400, 'invalid_grant')
    }),
    { numRuns: RUNS },
  )
})

/** A refusal for the client's own fault, which is never a 500. */
function expectRegistered(answer: Answer): void {
  expect(REGISTERED).toContain(answer.body?.error)
  expectRefusal(answer, answer.status === 413 ? 413 : 400, answer.body.error)
}

/** RFC 6749 Appendix A.4, said another way than the server says it. */
function isScope(value: string): boolean {
  return value.split(' ').every((token) => token !== '' && [...token].every(isScopeCharacter))
}

function isScopeCharacter(character: string): boolean {
  const code = character.codePointAt(0) ?? 0
  return code >= 0x21 && code <= 0x7e && code !== 0x22 && code !== 0x5c
}

function parseOrRefusal(body: Uint8Array): ReturnType<typeof parseForm> | Refusal {
  return attempt(() => parseForm(FORM, body))
}

/** Any error but a Refusal is a bug, and thrown on. */
function attempt<Result>(run: () => Result): Result | Refusal {
  try {
    return run()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
