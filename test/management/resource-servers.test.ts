import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { expectProblem, managementServerId, pointersOf } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

let count = 0
const identifier = () => `https://api-${++count}.example/v1`
const create = (body: object = {}) =>
  must(server.api('POST', '/resource-servers', { identifier: identifier(), name: 'API', ...body }))
const INTROSPECT = { name: 'tokens:introspect', description: expect.any(String) }

describe('resource servers', () => {
  test('a new one has JWT tokens of 900 seconds, and tokens:introspect by itself', async () => {
    const created = await server.api('POST', '/resource-servers', {
      identifier: 'https://api.example',
      name: 'API',
    })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      token_format: 'jwt',
      signing_algorithm: 'ES256',
      token_lifetime_seconds: 900,
      built_in: false,
      permissions: [INTROSPECT],
    })
    expect(created.headers.get('location')).toBe(`/api/v1/resource-servers/${created.body.id}`)
    expect((await server.api('GET', `/resource-servers/${created.body.id}`)).body).toEqual(created.body)
  })

  test('an identifier is taken once, also that of the management API', async () => {
    const { identifier: taken } = await create()
    for (const again of [taken, `${server.issuer}/api/v1`]) {
      const answer = await server.api('POST', '/resource-servers', { identifier: again, name: 'x' })
      expectProblem(answer, 409, 'identifier_taken')
    }
  })

  test('an identifier that could not be asked for as a resource is refused', async () => {
    for (const bad of [
      'api',
      'https://x.example/#f',
      'https://',
      'https://x.example/ä',
      'http://[',
      ' https://x.example',
    ]) {
      const answer = await server.api('POST', '/resource-servers', { identifier: bad, name: 'x' })
      expectProblem(answer, 422, 'input_invalid')
      expect(pointersOf(answer)).toEqual(['/identifier'])
    }
  })

  test('a change touches only what it names; read and sent back, nothing changes', async () => {
    const created = await create({ permissions: [{ name: 'b', description: 'B' }, { name: 'A' }] })
    const path = `/resource-servers/${created.id}`
    const patched = await must(
      server.api('PATCH', path, { token_format: 'opaque', token_lifetime_seconds: 60 }),
    )
    expect(patched).toMatchObject({ name: 'API', token_format: 'opaque', token_lifetime_seconds: 60 })
    expect(patched.permissions).toEqual(created.permissions)
    const { name, token_format, signing_algorithm, token_lifetime_seconds, permissions } = patched
    const same = { name, token_format, signing_algorithm, token_lifetime_seconds, permissions }
    expect(await must(server.api('PATCH', path, same))).toEqual(patched)
  })

  test('tokens:introspect cannot be removed or given another meaning, and no name counts twice', async () => {
    const created = await create({ permissions: [{ name: 'read' }] })
    const path = `/resource-servers/${created.id}`
    const emptied = await must(server.api('PATCH', path, { permissions: [] }))
    expect(emptied.permissions).toEqual([INTROSPECT])
    const redefined = await server.api('PATCH', path, {
      permissions: [
        { name: 'tokens:introspect', description: 'Delete everything' },
        { name: 'a' },
        { name: 'a' },
      ],
    })
    expectProblem(redefined, 422, 'input_invalid')
    expect(pointersOf(redefined)).toEqual(['/permissions/0/description', '/permissions/2/name'])
  })

  test('a permission that goes is taken from every account, whose trail says so', async () => {
    const fixture = await server.createFixture()
    const token = await fixture.getToken()
    const path = `/resource-servers/${fixture.resourceServer.id}`
    await must(server.api('PATCH', path, { permissions: [{ name: 'write', description: 'write' }] }))
    const account = await must(server.api('GET', fixture.accountPath))
    expect(account.permissions.map((entry: { permission: string }) => entry.permission)).toEqual(['write'])
    expect((await fixture.introspect(token)).body.scope).toBe('write')
    const trail = `/organizations/${fixture.organizationId}/audit-events?target=${fixture.accountId}&action=service_account.updated`
    const { items } = await must(server.api('GET', trail))
    expect(items[0].changes).toEqual({
      before: {
        permissions: ['read', 'write'].map((permission) => ({
          resource_server_id: fixture.resourceServer.id,
          permission,
        })),
      },
      after: { permissions: [{ resource_server_id: fixture.resourceServer.id, permission: 'write' }] },
    })
  })

  test('deleting one ends its tokens and secrets, twice with the same answer', async () => {
    const fixture = await server.createFixture()
    const token = await fixture.getToken()
    const path = `/resource-servers/${fixture.resourceServer.id}`
    expect((await fixture.introspect(token)).body.active).toBe(true)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await fixture.introspect(token)).status).toBe(401)
    expect((await must(server.api('GET', fixture.accountPath))).permissions).toEqual([])
    expect((await must(server.api('GET', `${fixture.accountPath}/tokens`))).items.length).toBeLessThanOrEqual(
      1,
    )
    expect((await server.api('DELETE', path)).status).toBe(204)
    expectProblem(await server.api('GET', path), 404, 'resource_not_found')
    expectProblem(await server.api('GET', `${path}/secrets`), 404, 'resource_not_found')
  })

  test('the management API cannot be deleted or redefined; its tokens may live shorter', async () => {
    const path = `/resource-servers/${await managementServerId(server)}`
    expectProblem(await server.api('DELETE', path), 409, 'built_in_protected')
    const more = { permissions: [{ name: 'everything' }] }
    expectProblem(await server.api('PATCH', path, more), 409, 'built_in_protected')
    expect(
      (await server.api('PATCH', path, { token_lifetime_seconds: 600 })).body.token_lifetime_seconds,
    ).toBe(600)
  })
})

describe('secrets', () => {
  test('a secret is shown once, kept as a digest, and works until it is deleted', async () => {
    const fixture = await server.createFixture()
    const secrets = `/resource-servers/${fixture.resourceServer.id}/secrets`
    const created = await server.api('POST', secrets, {})
    expect(created.status).toBe(201)
    const { secret, client_id, client_secret } = created.body
    expect(client_secret).toMatch(/^css_[A-Za-z0-9_-]{43}$/)
    expect(secret.obfuscated_secret).toBe(`${client_secret.slice(0, 8)}…${client_secret.slice(-4)}`)
    expect(created.headers.get('location')).toBe(`/api/v1${secrets}/${secret.id}`)
    const { rows } = await server.connection.pool.query(
      'select * from resource_server_secrets where id = $1',
      [secret.id],
    )
    expect(JSON.stringify(rows)).not.toContain(client_secret)

    const token = await fixture.getToken()
    const authorization = `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`
    const introspect = () => server.post('/oauth/introspect', { token }, { authorization })
    expect((await introspect()).body.active).toBe(true)
    const { items } = await must(server.api('GET', secrets))
    expect(items[0]).toMatchObject({ id: secret.id, last_used_at: expect.any(String) })
    expect((await server.api('DELETE', `${secrets}/${secret.id}`)).status).toBe(204)
    expect((await introspect()).status).toBe(401)
    expect((await server.api('DELETE', `${secrets}/${secret.id}`)).status).toBe(204)
    expect((await fixture.introspect(token)).body.active).toBe(true)
  })
})
