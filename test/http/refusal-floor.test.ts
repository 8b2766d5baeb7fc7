import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createRefusalFloor, type RefusalFloor } from '../../src/http/refusal-floor.ts'
import { basic, createApiToken, forgeApiToken } from '../support/api-tokens.ts'
import { type Answer, startTestServer, type TestServer } from '../support/server.ts'

const FLOOR_MILLISECONDS = 400
/** Timers count whole milliseconds and may be early by one. */
const EARLY_MILLISECONDS = 2

let server: TestServer
let floor: RefusalFloor

beforeAll(async () => {
  server = await startTestServer({ refusalFloor: () => floor() })
})
afterAll(() => server.close())

async function timeOf(request: () => Promise<Answer>): Promise<{ status: number; milliseconds: number }> {
  const startedAt = performance.now()
  const { status } = await request()
  return { status, milliseconds: performance.now() - startedAt }
}

test('a refusal at the OAuth endpoints is answered at one time after its request, whatever the work was', async () => {
  floor = createRefusalFloor(FLOOR_MILLISECONDS)
  const fixture = await server.createFixture()
  const { token, keyId } = await createApiToken(server, fixture)
  const good = await fixture.assertion()
  const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  const grant = (assertion: string) => () => server.post('/oauth/token', { grant_type: jwtBearer, assertion })
  const secret = (path: string, clientId: string, clientSecret: string) => () =>
    server.post(
      path,
      { grant_type: 'client_credentials', token: 'x' },
      { authorization: basic(clientId, clientSecret) },
    )
  const requests: Record<string, () => Promise<Answer>> = {
    'an assertion that cannot be read': grant('x.y.z'),
    'a wrong signature': grant(`${good.slice(0, good.lastIndexOf('.'))}.${'A'.repeat(86)}`),
    'an unknown issuer': grant(await fixture.assertion({ iss: 'acc_nobody', sub: 'acc_nobody' })),
    'an unknown client': secret('/oauth/token', 'acc_nobody', token),
    'a wrong secret': secret('/oauth/token', fixture.accountId, forgeApiToken(keyId)),
    'an unknown resource server': secret('/oauth/introspect', 'rs_nobody', 'x'),
    'a wrong secret at revocation': secret('/oauth/revoke', fixture.accountId, forgeApiToken(keyId)),
    'an unknown client at revocation': secret('/oauth/revoke', 'acc_nobody', token),
  }
  for (const [name, request] of Object.entries(requests)) {
    const { status, milliseconds } = await timeOf(request)
    expect({
      name,
      isRefused: status >= 400,
      isEarly: milliseconds < FLOOR_MILLISECONDS - EARLY_MILLISECONDS,
    }).toEqual({
      name,
      isRefused: true,
      isEarly: false,
    })
  }
})

test('what is granted does not wait for it', async () => {
  floor = () => new Promise(() => undefined)
  const fixture = await server.createFixture()
  const token = await fixture.getToken()
  expect((await fixture.introspect(token)).body.active).toBe(true)
  expect((await fixture.introspect('unknown')).body).toEqual({ active: false })
})

test('its clock is set before it is known whether the request is refused', async () => {
  let set = 0
  const fixture = await server.createFixture()
  floor = async () => void set++
  expect((await fixture.requestToken()).status).toBe(200)
  expect(set).toBe(1)
})
