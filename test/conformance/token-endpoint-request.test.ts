import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sendRaw } from '../support/raw-request.ts'
import {
  type Answer,
  type Fixture,
  type FormInput,
  startTestServer,
  type TestServer,
} from '../support/server.ts'
import { expectNothingIssued, expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const FORM = 'application/x-www-form-urlencoded'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** The known-good request, with parameters added or, by undefined, taken away. */
async function goodForm(changes: Record<string, string | undefined> = {}): Promise<[string, string][]> {
  const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion(), ...changes }
  return Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined)
}

async function goodBody(): Promise<string> {
  return new URLSearchParams(await goodForm()).toString()
}

function post(form: FormInput): Promise<Answer> {
  return server.post('/oauth/token', form)
}

test.each(['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
  '[6749-3.2-1] %s gets no token, with the parameters in query and body',
  async (method) => {
    const body = await goodBody()
    const answer = await expectNothingIssued(server, () =>
      sendRaw(server, { method, path: `/oauth/token?${body}`, headers: { 'content-type': FORM }, body }),
    )
    await expectRefusalFor(server, answer, {
      status: 405,
      error: 'invalid_request',
      reason: 'method_not_allowed',
    })
    expect(answer.headers.get('allow')).toBe('POST')
  },
)

test('[6749-3.2-1] HEAD gets no token and no body', async () => {
  const answer = await expectNothingIssued(server, async () =>
    sendRaw(server, { method: 'HEAD', path: `/oauth/token?${await goodBody()}` }),
  )
  expect(answer).toMatchObject({ status: 405, text: '' })
  expect(answer.headers.get('allow')).toBe('POST')
  expect(answer.headers.get('cache-control')).toBe('no-store')
})

test.each([
  ['application/json', (form: [string, string][]) => JSON.stringify(Object.fromEntries(form))],
  ['text/plain', (form: [string, string][]) => new URLSearchParams(form).toString()],
  ['application/x-www-form-urlencodedx', (form: [string, string][]) => new URLSearchParams(form).toString()],
  ['multipart/form-data; boundary=b', toMultipart],
])('[6749-3.2-2] a body as %s is refused', async (mediaType, encode) => {
  const body = encode(await goodForm())
  const answer = await expectNothingIssued(server, () =>
    sendRaw(server, { headers: { 'content-type': mediaType }, body }),
  )
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'media_type_unsupported' })
})

test.each([
  `${FORM};charset=UTF-8`,
  `${FORM}; charset=utf-8`,
  `${FORM} ; Charset="utf-8"`,
  `${FORM}; foo=bar`,
  FORM.toUpperCase(),
])('[6749-3.2-3] the media type %s is understood', async (mediaType) => {
  const answer = await server.post('/oauth/token', await goodForm(), { 'content-type': mediaType })
  expect(answer.status).toBe(200)
})

test.each(['iso-8859-1', 'utf-16', '"windows-1252"'])(
  '[6749-3.2-4] charset=%s is refused',
  async (charset) => {
    const answer = await server.post('/oauth/token', await goodForm(), {
      'content-type': `${FORM}; charset=${charset}`,
    })
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'media_type_unsupported' })
  },
)

test.each(['%ff', '%zz', '%', '%e', '%c0%80', '%ed%a0%80', '%f4%90%80%80'])(
  '[6749-3.2-4] the sequence %j is refused in a value and in a name, known or not',
  async (sequence) => {
    const body = await goodBody()
    for (const more of [`scope=${sequence}`, `unknown=${sequence}`, `${sequence}=x`, sequence]) {
      const answer = await expectNothingIssued(server, () => post(`${body}&${more}`))
      await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
    }
  },
)

test('[6749-3.2-4] raw bytes that are not UTF-8 are refused', async () => {
  const body = Buffer.concat([Buffer.from(`${await goodBody()}&scope=`), Buffer.from([0xff, 0xfe])])
  const answer = await expectNothingIssued(server, () =>
    sendRaw(server, { headers: { 'content-type': FORM }, body }),
  )
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
})

test('[6749-3.2-5] a request without a body is refused, with and without a content type', async () => {
  for (const headers of [{}, { 'content-type': FORM }] as Record<string, string>[]) {
    expectRefusal(await sendRaw(server, { headers }), 400, 'invalid_request')
    expectRefusal(await sendRaw(server, { headers, chunked: true }), 400, 'invalid_request')
  }
})

test('[6749-3.2-6] a parameter without a value counts as absent', async () => {
  for (const empty of ['scope=', 'scope', 'client_id=', 'client_secret=', 'client_assertion=', 'resource=']) {
    const answer = await post(`${await goodBody()}&${empty}`)
    expect(answer).toMatchObject({ status: 200, body: { scope: 'read write' } })
  }
  expectRefusal(await post({ grant_type: JWT_BEARER, assertion: '' }), 400, 'invalid_request')
  expectRefusal(await post(await goodForm({ grant_type: '' })), 400, 'invalid_request')
})

test('[6749-3.2-7] an unknown parameter is ignored', async () => {
  expect((await post(await goodForm({ foo: 'bar', prompt: 'none', état: 'é' }))).status).toBe(200)
})

test.each([
  'grant_type',
  'assertion',
  'scope',
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
])('[6749-3.2-8] %s given twice is refused, even with equal values', async (name) => {
  const form = await goodForm({ scope: 'read', client_id: fixture.accountId })
  const value = form.find(([candidate]) => candidate === name)?.[1] ?? 'x'
  for (const values of [
    [value, value],
    [value, 'other'],
    ['', value],
  ] as const) {
    const others = form.filter(([candidate]) => candidate !== name)
    const repeated = values.map((each): [string, string] => [name, each])
    const answer = await expectNothingIssued(server, () => post([...others, ...repeated]))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'parameter_repeated' })
  }
})

test('[6749-3.2-9] an unknown parameter may repeat', async () => {
  expect((await post(`${await goodBody()}&foo=1&foo=2`)).status).toBe(200)
})

test('[6749-3.2-10] resource and audience are not refused for repetition', async () => {
  const { identifier } = fixture.resourceServer
  const twice = new URLSearchParams([
    ['resource', identifier],
    ['resource', `${identifier}/b`],
  ])
  expectRefusal(await post(`${await goodBody()}&${twice}`), 400, 'invalid_target')
  expect((await post(`${await goodBody()}&audience=a&audience=b`)).status).toBe(200)
})

test('[6749-3.2-11] parameters in the query are not used', async () => {
  const query = await goodBody()
  const secret = 'client_secret=query-secret'
  for (const path of [`/oauth/token?${query}`, `/oauth/token?${query}&${secret}`]) {
    const answer = await expectNothingIssued(server, () => server.post(path, ''))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'parameter_missing' })
  }
  const { grant_type: grantType, ...withoutGrantType } = Object.fromEntries(await goodForm())
  expectRefusal(
    await server.post(
      `/oauth/token?${new URLSearchParams({ grant_type: grantType ?? '' })}`,
      withoutGrantType,
    ),
    400,
    'invalid_request',
  )
  // Nor do they count as given twice.
  const good = await server.post('/oauth/token?grant_type=password&scope=admin', await goodForm())
  expect(good).toMatchObject({ status: 200, body: { scope: 'read write' } })
})

test.each([
  'scope[]=admin',
  'scope[x]=admin',
  'scope.x=admin',
  '__proto__[scope]=admin',
  '__proto__=x',
  'constructor.prototype=x',
  'constructor[prototype][scope]=admin',
  'toString=x',
  'hasOwnProperty=1&hasOwnProperty=2',
  '=',
  '&&&',
])('[6749-3.2-12] %s is an unknown name and nothing more', async (parameter) => {
  const answer = await post(`${await goodBody()}&${parameter}`)
  expect(answer).toMatchObject({ status: 200, body: { scope: 'read write' } })
  expect({}).not.toHaveProperty('scope')
})

test('[6749-3.2-12] a structured name does not stand for the plain one', async () => {
  const { assertion } = Object.fromEntries(await goodForm())
  for (const name of ['assertion[]', 'assertion[0]', 'assertion[value]']) {
    expectRefusal(await post({ grant_type: JWT_BEARER, [name]: assertion ?? '' }), 400, 'invalid_request')
  }
})

test.each<[string, () => string, boolean]>([
  ['1 MiB', () => `foo=${'x'.repeat(1_048_576)}`, false],
  ['1 MiB without a length', () => `foo=${'x'.repeat(1_048_576)}`, true],
  ['200 kB in one parameter', () => `assertion=${'x'.repeat(200_000)}`, false],
])('[6749-3.2-13] a body of %s is refused as too large', async (_name, more, chunked) => {
  const body = `${await goodBody()}&${more()}`
  const answer = await expectNothingIssued(server, () =>
    sendRaw(server, { headers: { 'content-type': FORM }, body, chunked }),
  )
  await expectRefusalFor(server, answer, {
    status: 413,
    error: 'invalid_request',
    reason: 'body_too_large',
  })
})

test('[6749-3.2-13] 5000 parameters are refused', async () => {
  const answer = await post(`${await goodBody()}${'&a=b'.repeat(5000)}`)
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
})

test('[6749-3.2-14] an encoded body is refused without being inflated', async () => {
  // 64 MiB of zeros in 64 kB: if it were inflated, it would be refused as too large.
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576))
  const good = gzipSync(await goodBody())
  for (const [encoding, body] of [
    ['gzip', bomb],
    ['gzip', good],
    ['br', good],
    ['deflate', good],
    ['gzip, gzip', good],
    ['unheard-of', good],
  ] as const) {
    const headers = { 'content-type': FORM, 'content-encoding': encoding }
    const answer = await expectNothingIssued(server, () => sendRaw(server, { headers, body }))
    await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'media_type_unsupported' })
  }
})

test.each([
  'scope=a%00b',
  'client_id=%00',
  'assertion=%00',
  'grant_type=a%00',
  'resource=%00',
  'a%00b=c',
  'foo=\0',
])('[6749-3.2-15] NUL in %j is refused', async (parameter) => {
  const name = parameter.split('=')[0] ?? ''
  const rest = (await goodForm()).filter(([candidate]) => candidate !== name)
  const answer = await expectNothingIssued(server, () => post(`${new URLSearchParams(rest)}&${parameter}`))
  await expectRefusalFor(server, answer, { error: 'invalid_request', reason: 'request_malformed' })
})

test('[6749-3.2-15] control characters elsewhere are refused or ignored, never a fault', async () => {
  const control = '\u0001\u001b[31m\r\n\u007f\u0085\u2028'
  for (const name of ['scope', 'client_id', 'resource', 'grant_type', 'client_secret']) {
    const answer = await expectNothingIssued(server, async () => post(await goodForm({ [name]: control })))
    expect(answer.status).toBe(400)
    expectRefusal(answer, 400, answer.body.error)
  }
  const answer = await server.post('/oauth/token', await goodForm({ foo: control }), {
    'user-agent': 'a\u00ffb',
  })
  expect(answer.status).toBe(200)
  expect((await findLogLine(server, answer)).userAgent).toBe('a?b')
})

function toMultipart(form: [string, string][]): string {
  const parts = form.map(
    ([name, value]) => `--b\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  return `${parts.join('')}--b--\r\n`
}
