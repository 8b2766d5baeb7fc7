import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { byAssertion, createCaller } from '../support/client-assertions.ts'
import { createKeyPair } from '../support/jwt.ts'
import { expectProblem, pointersOf } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture
let keys: string

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ algorithm: 'ES256' })
  keys = `/resource-servers/${fixture.resourceServer.id}/keys`
})
afterAll(() => server.close())

const newJwk = async (algorithm = 'ES256') => (await createKeyPair(algorithm)).publicJwk
const register = (body: object) => server.api('POST', keys, body)

describe('a public key of a resource server', () => {
  test('is registered as JWK or PEM, shown with its state, and found again', async () => {
    const jwk = await newJwk()
    const created = await register({ public_key: { ...jwk, kid: 'gateway-1' }, name: 'Gateway' })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      id: expect.stringMatching(/^key_/),
      resource_server_id: fixture.resourceServer.id,
      name: 'Gateway',
      kid: 'gateway-1',
      algorithm: 'ES256',
      modulus_length: null,
      public_key: { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y },
      status: 'active',
      expires_at: null,
      last_used_at: null,
    })
    expect(created.headers.get('location')).toBe(`/api/v1${keys}/${created.body.id}`)
    expect((await server.api('GET', `${keys}/${created.body.id}`)).body).toEqual(created.body)
    const listed = await must(server.api('GET', keys))
    expect(listed.items).toContainEqual(created.body)

    const rsa = await must(register({ public_key: await newJwk('RS256') }))
    expect(rsa).toMatchObject({ algorithm: 'RS256', modulus_length: 2048 })
    expect(rsa.kid).toBe(rsa.thumbprint)
    expect(rsa.name).toMatch(/^Public key \d{4}-\d\d-\d\d$/)
  })

  test('is one party’s alone: not registered twice, for resource servers or accounts', async () => {
    const jwk = await newJwk()
    const other = await server.createFixture({ algorithm: 'ES256' })
    await must(register({ public_key: jwk }))
    const elsewhere = `/resource-servers/${other.resourceServer.id}/keys`
    const asAccount = { type: 'public_key', public_key: jwk }
    for (const answer of [
      await register({ public_key: jwk }),
      await server.api('POST', elsewhere, { public_key: jwk }),
      await server.api('POST', `${fixture.accountPath}/keys`, asAccount),
      await register({ public_key: fixture.keyPair.publicJwk }),
    ]) {
      expectProblem(answer, 409, 'key_material_taken')
    }
  })

  test('registered for an account and a resource server at once becomes the key of one of them', async () => {
    for (let round = 0; round < 5; round++) {
      const jwk = await newJwk()
      const statuses = await Promise.all([
        register({ public_key: jwk }),
        server.api('POST', `${fixture.accountPath}/keys`, { type: 'public_key', public_key: jwk }),
      ])
      expect(statuses.map(({ status }) => status).sort()).toEqual([201, 409])
      const { items } = await must(server.api('GET', keys))
      for (const { id } of items) await server.api('DELETE', `${keys}/${id}`)
      const own = await must(server.api('GET', `${fixture.accountPath}/keys`))
      for (const { id } of own.items)
        if (id !== fixture.keyId) await server.api('DELETE', `${fixture.accountPath}/keys/${id}`)
    }
  })

  test('has a kid of its own', async () => {
    await must(register({ public_key: { ...(await newJwk()), kid: 'once' } }))
    expectProblem(await register({ public_key: { ...(await newJwk()), kid: 'once' } }), 409, 'kid_taken')
    const forged = await register({ public_key: { ...(await newJwk()), kid: fixture.keyId } })
    expectProblem(forged, 422, 'input_invalid')
  })

  test('is no private key, no weak key, and no key of the past', async () => {
    const pair = await createKeyPair('ES256')
    const priv = await register({ public_key: pair.privateKeyPem })
    expectProblem(priv, 422, 'private_key_given')
    expect(JSON.stringify(server.logs())).not.toContain(pair.privateKeyPem.split('\n')[1])
    const past = await register({ public_key: await newJwk(), expires_at: '2020-01-01T00:00:00Z' })
    expectProblem(past, 422, 'input_invalid')
    expect(pointersOf(past)).toEqual(['/expires_at'])
    expectProblem(
      await register({ public_key: { kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA' } }),
      422,
      'input_invalid',
    )
    expectProblem(await register({ public_key: pair.publicJwk, jwks_uri: 'https://x' }), 422, 'input_invalid')
  })

  test('counts until it is disabled, and for good no more when it is deleted; all of it is in the trail', async () => {
    const caller = await createCaller(server, fixture.resourceServer.id, { terms: { name: 'Traced' } })
    const ask = async () =>
      (await server.post('/oauth/introspect', { token: 'x', ...byAssertion(await caller.assertion()) }))
        .status
    expect(await ask()).toBe(200)
    expect((await must(server.api('GET', caller.path))).last_used_at).not.toBeNull()
    const disabled = await must(server.api('PATCH', caller.path, { status: 'disabled', name: 'Renamed' }))
    expect(disabled).toMatchObject({ status: 'disabled', name: 'Renamed' })
    expect(await ask()).toBe(401)
    await must(server.api('PATCH', caller.path, { status: 'active' }))
    expect(await ask()).toBe(200)
    expect((await server.api('DELETE', caller.path)).status).toBe(204)
    expect((await server.api('DELETE', caller.path)).status).toBe(204)
    expect(await ask()).toBe(401)
    expectProblem(await server.api('PATCH', caller.path, { status: 'active' }), 409, 'key_already_revoked')
    expect((await must(server.api('GET', caller.path))).status).toBe('revoked')
    const ids = (list: { items: { id: string }[] }) => list.items.map(({ id }) => id)
    expect(ids(await must(server.api('GET', keys)))).not.toContain(caller.keyId)
    expect(ids(await must(server.api('GET', `${keys}?include_revoked=true`)))).toContain(caller.keyId)

    const { organization } = await must(server.api('GET', '/me'))
    const { items } = await must(
      server.api('GET', `/organizations/${organization.id}/audit-events?target=${caller.keyId}`),
    )
    expect(items.map(({ action }: { action: string }) => action).reverse()).toEqual([
      'resource_server_key.created',
      'resource_server_key.disabled',
      'resource_server_key.enabled',
      'resource_server_key.revoked',
    ])
    expect(items.at(-2).changes).toEqual({
      before: { name: 'Traced', status: 'active' },
      after: { name: 'Renamed', status: 'disabled' },
    })
  })

  test('that has run out is shown so, and counts again when it gets a new expiry', async () => {
    const soon = new Date(server.clock.now() + 60_000).toISOString()
    const key = await must(register({ public_key: await newJwk(), expires_at: soon }))
    expect(key.status).toBe('active')
    server.clock.advance(61)
    expect((await must(server.api('GET', `${keys}/${key.id}`))).status).toBe('expired')
    const prolonged = await must(server.api('PATCH', `${keys}/${key.id}`, { expires_at: null }))
    expect(prolonged).toMatchObject({ status: 'active', expires_at: null })
  })

  test('is one of ten at most', async () => {
    const { resourceServer } = await server.createFixture({ algorithm: 'ES256' })
    const path = `/resource-servers/${resourceServer.id}/keys`
    const created = []
    for (let count = 0; count < 10; count++)
      created.push(await must(server.api('POST', path, { public_key: await newJwk() })))
    const eleventh = { public_key: await newJwk() }
    expectProblem(await server.api('POST', path, eleventh), 409, 'key_limit_reached')
    await server.api('DELETE', `${path}/${created[0].id}`)
    expect((await server.api('POST', path, eleventh)).status).toBe(201)
  })

  test('goes with its resource server', async () => {
    const { resourceServer } = await server.createFixture({ algorithm: 'ES256' })
    const caller = await createCaller(server, resourceServer.id)
    const form = async () => ({ token: 'x', ...byAssertion(await caller.assertion()) })
    expect((await server.post('/oauth/introspect', await form())).status).toBe(200)
    await server.api('DELETE', `/resource-servers/${resourceServer.id}`)
    expect((await server.post('/oauth/introspect', await form())).status).toBe(401)
    expectProblem(await server.api('GET', caller.path), 404, 'resource_not_found')
    expectProblem(await server.api('DELETE', caller.path), 404, 'resource_not_found')
  })

  test('of another resource server is not found here', async () => {
    const { resourceServer } = await server.createFixture({ algorithm: 'ES256' })
    const { keyId } = await createCaller(server, resourceServer.id)
    for (const method of ['GET', 'DELETE'])
      expectProblem(await server.api(method, `${keys}/${keyId}`), 404, 'resource_not_found')
    expectProblem(await server.api('PATCH', `${keys}/${keyId}`, { name: 'x' }), 404, 'resource_not_found')
  })
})
