import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { countGrants, expectRefusal } from '../conformance/support.ts'
import { createApiToken } from '../support/api-tokens.ts'
import { asClient, byAssertion, CLIENT_ASSERTION_TYPE, type Signer } from '../support/client-assertions.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { fuzz } from './inputs.ts'
import { formText, mutations } from './texts.ts'

let server: TestServer
let fixture: Fixture
let client: Signer
let apiToken: string

beforeAll(async () => {
  // Guesses are counted by address: each input comes from one of its own.
  server = await startTestServer({ keepsLogs: false, trustedProxies: ['127.0.0.1'] })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  client = asClient(server, fixture)
  apiToken = (await createApiToken(server, fixture)).token
})
afterAll(() => server.close())

type Attempt = { headers: Record<string, string>; form: Record<string, string>; isGood: boolean }

const change = fc.oneof(
  { weight: 1, arbitrary: fc.constant((text: string) => text) },
  { weight: 4, arbitrary: mutations },
)

test('[6749-2.3-1][7523-3.2-1] only credentials as they were given out, of one method, make a client', async () => {
  const before = await countGrants(server)
  let accepted = 0
  const inputs = fc.tuple(
    fc.constantFrom('assertion', 'basic', 'post', 'mixed'),
    change,
    change,
    fc.ipV4(),
    formText,
  )
  await fuzz('client authentication', inputs, async ([method, changeOne, changeOther, ip, text]) => {
    const { headers, form, isGood } = await makeAttempt(method, changeOne, changeOther, text)
    const answer = await server.post(
      '/oauth/token',
      { grant_type: 'client_credentials', ...form },
      { 'x-forwarded-for': ip, ...headers },
    )
    expect({ isGood, status: answer.status }).toEqual({
      isGood,
      status: isGood ? 200 : expect.not.stringMatching('200'),
    })
    if (isGood) accepted++
    else {
      expect(['invalid_client', 'invalid_request']).toContain(answer.body.error)
      expectRefusal(answer, answer.status === 401 ? 401 : 400, answer.body.error)
    }
  })
  expect(await countGrants(server)).toBe(before + accepted)
})

async function makeAttempt(
  method: string,
  changeOne: (text: string) => string,
  changeOther: (text: string) => string,
  text: string,
): Promise<Attempt> {
  const id = changeOne(client.id)
  const secret = changeOther(apiToken)
  const basic = {
    authorization: `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`,
  }
  switch (method) {
    case 'basic':
      return { headers: basic, form: {}, isGood: id === client.id && secret === apiToken }
    case 'post':
      return {
        headers: {},
        form: { client_id: id, client_secret: secret },
        isGood: id === client.id && secret === apiToken,
      }
    case 'assertion': {
      const good = await client.assertion()
      const assertion = changeOne(good)
      return { headers: {}, form: byAssertion(assertion), isGood: assertion === good }
    }
    default:
      // Two methods at once, or half of one: never good, whatever each of them is worth.
      return {
        headers: text.length % 2 === 0 ? basic : {},
        form: {
          client_assertion: text.length % 3 === 0 ? await client.assertion() : text,
          ...(text.length % 2 === 0
            ? { client_assertion_type: CLIENT_ASSERTION_TYPE }
            : { client_secret: secret }),
        },
        isGood: false,
      }
  }
}

function encode(text: string): string {
  return new URLSearchParams({ x: text.toWellFormed() }).toString().slice('x='.length)
}
