import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Client, createClient, createOrganization, expectProblem } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let operatorOrganizationId: string
beforeAll(async () => {
  server = await startTestServer()
  operatorOrganizationId = (await must(server.api('GET', '/me'))).organization.id
})
afterAll(() => server.close())

describe('organizations', () => {
  test('a new one has the usual settings and can be read at its Location', async () => {
    const created = await server.api('POST', '/organizations', { slug: 'acme', name: 'Acme Inc.' })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      slug: 'acme',
      name: 'Acme Inc.',
      status: 'active',
      settings: {
        require_jti: false,
        max_key_lifetime_days: null,
        allow_generated_keys: true,
        max_keys_per_account: 10,
      },
    })
    expect(created.headers.get('location')).toBe(`/api/v1/organizations/${created.body.id}`)
    const read = await server.api('GET', `/organizations/${created.body.id}`)
    expect(read.body).toEqual(created.body)
  })

  test('a change touches only what it names, and null empties what may be empty', async () => {
    const { id } = await createOrganization(server, { max_key_lifetime_days: 30, require_jti: true })
    const renamed = await must(server.api('PATCH', `/organizations/${id}`, { name: 'New name' }))
    expect(renamed).toMatchObject({
      name: 'New name',
      settings: { max_key_lifetime_days: 30, require_jti: true },
    })
    const opened = await must(
      server.api('PATCH', `/organizations/${id}`, { settings: { max_key_lifetime_days: null } }),
    )
    expect(opened.settings).toMatchObject({ max_key_lifetime_days: null, require_jti: true })
  })

  test('a disabled one loses its tokens at once, and enabling it does not bring them back', async () => {
    const { id } = await createOrganization(server)
    const fixture = await server.createFixture({ organizationId: id })
    const token = await fixture.getToken()
    expect((await fixture.introspect(token)).body.active).toBe(true)
    await must(server.api('PATCH', `/organizations/${id}`, { status: 'disabled' }))
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    expect((await fixture.requestToken()).body.error).toBe('invalid_grant')
    await must(server.api('PATCH', `/organizations/${id}`, { status: 'active' }))
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    expect((await fixture.introspect(await fixture.getToken())).body.active).toBe(true)
  })

  test('one without active accounts can be deleted, twice with the same answer, and its slug is free again', async () => {
    const { id, slug } = await createOrganization(server)
    const account = await must(server.api('POST', `/organizations/${id}/service-accounts`, { name: 'a' }))
    expectProblem(await server.api('DELETE', `/organizations/${id}`), 409, 'organization_not_empty')
    await must(server.api('DELETE', `/organizations/${id}/service-accounts/${account.id}`))
    expect((await server.api('DELETE', `/organizations/${id}`)).status).toBe(204)
    expect((await server.api('DELETE', `/organizations/${id}`)).status).toBe(204)
    expectProblem(await server.api('GET', `/organizations/${id}`), 404, 'resource_not_found')
    expectProblem(await server.api('PATCH', `/organizations/${id}`, {}), 404, 'resource_not_found')
    const accounts = `/organizations/${id}/service-accounts`
    expectProblem(await server.api('GET', accounts), 404, 'resource_not_found')
    expectProblem(await server.api('POST', accounts, { name: 'a' }), 404, 'resource_not_found')
    expect((await server.api('POST', '/organizations', { slug, name: 'again' })).status).toBe(201)
  })

  test('the operator organization cannot be disabled or deleted', async () => {
    const path = `/organizations/${operatorOrganizationId}`
    expectProblem(await server.api('PATCH', path, { status: 'disabled' }), 409, 'built_in_protected')
    expectProblem(await server.api('DELETE', path), 409, 'built_in_protected')
  })
})

describe('a tenant that may manage organizations', () => {
  let tenant: Client
  beforeAll(async () => {
    const { id } = await createOrganization(server)
    tenant = await createClient(server, {
      organizationId: id,
      permissions: [
        'organizations:read',
        'organizations:manage',
        'resource_servers:read',
        'resource_servers:manage',
      ],
    })
  })

  test('reads and renames its own and sets its rules', async () => {
    const own = `/organizations/${tenant.organizationId}`
    expect((await tenant.call('GET', own)).status).toBe(200)
    const patched = await must(tenant.call('PATCH', own, { name: 'Ours', settings: { require_jti: true } }))
    expect(patched).toMatchObject({ name: 'Ours', settings: { require_jti: true } })
  })

  test('cannot change its status, delete it, list organizations or create one', async () => {
    const own = `/organizations/${tenant.organizationId}`
    for (const [method, path, body] of [
      ['PATCH', own, { status: 'disabled' }],
      ['PATCH', own, { status: 'active' }],
      ['DELETE', own],
      ['GET', '/organizations'],
      ['POST', '/organizations', { slug: 'mine', name: 'Mine' }],
      ['GET', '/resource-servers'],
      ['POST', '/resource-servers', { identifier: 'https://mine.example', name: 'Mine' }],
    ] as const) {
      const answer = await tenant.call(method, path, body)
      expectProblem(answer, 403, 'permission_missing')
      expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_scope"')
    }
  })
})
