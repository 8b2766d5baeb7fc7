import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { expectRefusal } from '../conformance/support.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { fuzz } from './inputs.ts'
import { formText, mutations, wellFormedText } from './texts.ts'

const SIGNED = 'application/token-introspection+jwt'

let server: TestServer
let fixture: Fixture
let other: Fixture
let apiToken: string
let authorization: string
let keySet: JSONWebKeySet

beforeAll(async () => {
  server = await startTestServer({ keepsLogs: false, trustedProxies: ['127.0.0.1'] })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  other = await server.createFixture({ algorithm: 'ES256' })
  ;({ token: apiToken, authorization } = await createApiToken(server, fixture))
  keySet = (await toAnswer(await fetch(`${server.url}/.well-known/jwks.json`))).body
})
afterAll(() => server.close())

/** Leaves a text as it is now and then. */
const change = fc.oneof(
  { weight: 1, arbitrary: fc.constant((text: string) => text) },
  { weight: 3, arbitrary: mutations },
)
const hint = fc.option(formText, { nil: undefined })
const headerText = fc.string({ unit: fc.constantFrom(...' !"#\'()*+,-./0;=<>?@az[]_{}|~é'), maxLength: 30 })
const accept = fc.oneof(
  fc.constantFrom(SIGNED, `${SIGNED};q=0.5, application/json;q=0.4`, '*/*', 'application/*', `${SIGNED};q=x`),
  headerText,
)

test('[9701-4-2][7662-2.2-6] whatever is asked about and however the answer is wanted, only the token itself is active', () =>
  fuzz(
    'introspection',
    fc.tuple(change, hint, accept, fc.boolean()),
    async ([mutate, tokenHint, wanted, isApiToken]) => {
      const good = isApiToken ? apiToken : await goodToken(fixture)
      const token = mutate(good)
      const form = { token, ...(tokenHint !== undefined && { token_type_hint: tokenHint }) }
      const headers = { authorization: fixture.resourceServer.authorization, accept: wanted }
      const answer = await server.post('/oauth/introspect', form, headers)
      if (token === '' || token.includes('\0')) expectRefusal(answer, 400, 'invalid_request')
      else if (answer.status === 429) expectRefusal(answer, 429, 'temporarily_unavailable')
      else expect(await readAnswer(answer)).toMatchObject({ active: token === good })
    },
  ))

async function readAnswer(answer: Answer): Promise<unknown> {
  expect(answer.status).toBe(200)
  if (answer.headers.get('content-type') !== SIGNED) return answer.body
  const { payload } = await jwtVerify(answer.text, createLocalJWKSet(keySet), {
    issuer: server.issuer,
    audience: fixture.resourceServer.id,
    typ: 'token-introspection+jwt',
    currentDate: new Date(server.clock.now()),
  })
  return payload.token_introspection
}

test('[7009-2.1-5][7009-2.2-1][7009-2.2-4] whatever a client asks to revoke, it ends its own token alone', async () => {
  const kept = await goodToken(fixture)
  const foreign = await goodToken(other)
  const inputs = fc.tuple(change, hint, fc.constantFrom('own', 'kept', 'foreign', 'API token'))
  await fuzz('revocation', inputs, async ([mutate, tokenHint, which]) => {
    const own = await fixture.getToken()
    const good = { own, kept, foreign, 'API token': apiToken }[which] ?? ''
    const changed = mutate(good)
    // The one that stays is never sent as it is.
    const token = changed === kept ? `${kept}x` : changed
    const form = { token, ...(tokenHint !== undefined && { token_type_hint: tokenHint }) }
    const answer = await server.post('/oauth/revoke', form, { authorization })
    if (token === '' || token.includes('\0')) expectRefusal(answer, 400, 'invalid_request')
    else if (answer.status === 429) expectRefusal(answer, 429, 'temporarily_unavailable')
    else if (token === foreign) expectRefusal(answer, 400, 'invalid_grant')
    else if (token === apiToken) expectRefusal(answer, 400, 'unsupported_token_type')
    else expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '' })
    expect((await fixture.introspect(own)).body.active).toBe(token !== own)
  })
  expect((await fixture.introspect(kept)).body.active).toBe(true)
  expect((await other.introspect(foreign)).body.active).toBe(true)
  expect((await fixture.introspect(apiToken)).body.active).toBe(true)
})

test('whatever a proxy asks for a client, only a good token passes, for what it may', () => {
  const scope = fc.oneof(
    fc.constantFrom(undefined, 'read', 'read write', 'admin', 'read  write', ''),
    wellFormedText,
  )
  const more = fc.oneof(
    fc.constant(''),
    fc.constant(''),
    wellFormedText.map((text) => `&${encodeURIComponent(text)}`),
  )
  const inputs = fc.tuple(change, change, change, scope, more, fc.ipV4())
  return fuzz(
    'forward auth',
    inputs,
    async ([changeToken, changeSecret, changeResource, asked, rest, ip]) => {
      const { secret, identifier } = fixture.resourceServer
      const good = await goodToken(fixture)
      const sent = {
        token: toHeader(changeToken(good)),
        secret: toHeader(changeSecret(secret)),
        resource: changeResource(identifier).toWellFormed(),
      }
      const question = asked === undefined ? '' : `&scope=${encodeURIComponent(asked)}`
      const answer = await sendRaw(server, {
        method: 'GET',
        path: `/oauth/forward-auth?resource=${encodeURIComponent(sent.resource)}${question}${rest}`,
        headers: {
          authorization: `Bearer ${sent.token}`,
          'x-resource-server-secret': sent.secret,
          'x-forwarded-for': ip,
        },
      })
      const isProxy = sent.secret === secret && sent.resource === identifier && rest.length <= '&'.length
      const isAllowed = asked === undefined || ['read', 'write', 'read write'].includes(asked)
      if (isProxy && sent.token === good && isAllowed) {
        expect(answer.status).toBe(204)
        expect(answer.headers.get('x-auth-subject')).toBe(fixture.accountId)
      } else {
        expect([400, 401, 403, 429]).toContain(answer.status)
        expect(answer.headers.has('x-auth-subject')).toBe(false)
        // Only what the client itself sent is told to the client.
        if (answer.status === 401 || answer.status === 403) expect(isProxy).toBe(true)
      }
    },
  )
})

/** As much of a text as a header can hold. */
function toHeader(text: string): string {
  return text
    .replaceAll(/[^\x20-\x7e]/g, 'x')
    .slice(0, 4000)
    .trim()
}

const tokens = new Map<Fixture, { text: string; goodUntil: number }>()
/** A new one before the last has expired: a long run takes longer than a token lives. */
async function goodToken(account: Fixture): Promise<string> {
  const known = tokens.get(account)
  if (known !== undefined && server.clock.now() < known.goodUntil) return known.text
  const text = await account.getToken()
  tokens.set(account, { text, goodUntil: server.clock.now() + 600_000 })
  return text
}
