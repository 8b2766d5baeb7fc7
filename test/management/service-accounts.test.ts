import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type Client,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
  pointersOf,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let accounts: string
let organization: { id: string; slug: string }
beforeAll(async () => {
  server = await startTestServer()
  organization = await createOrganization(server)
  accounts = `/organizations/${organization.id}/service-accounts`
})
afterAll(() => server.close())

describe('a new service account', () => {
  test('needs nothing but a name, is active and may do nothing', async () => {
    const created = await server.api('POST', accounts, { name: 'Größe & Söhne: Nachtlauf' })
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      organization_id: organization.id,
      kind: 'service_account',
      slug: 'große-sohne-nachtlauf'.replace('ß', '-'),
      description: '',
      owner_contact: null,
      status: 'active',
      permissions: [],
      assertion_policy: {
        profile: 'rfc7523',
        require_jti: false,
        max_lifetime_seconds: 3600,
        extra_audiences: [],
        client_assertion_audience: 'issuer',
      },
      last_used_at: null,
    })
    expect(created.body.email).toBe(
      `${created.body.slug}@${organization.slug}.${new URL(server.issuer).hostname}`,
    )
    expect(created.headers.get('location')).toBe(`/api/v1${accounts}/${created.body.id}`)
    expect((await server.api('GET', `${accounts}/${created.body.id}`)).body).toEqual(created.body)
  })

  test('of the same name gets another slug, and a slug that is asked for twice is refused', async () => {
    const first = await must(server.api('POST', accounts, { name: 'Twin' }))
    const second = await must(server.api('POST', accounts, { name: 'Twin' }))
    expect(first.slug).toBe('twin')
    expect(second.slug).toMatch(/^twin-[0-9a-f]{6}$/)
    expectProblem(await server.api('POST', accounts, { name: 'x', slug: 'twin' }), 409, 'slug_taken')
  })

  test('comes with its first key, or not at all', async () => {
    const created = await must(
      server.api('POST', accounts, {
        name: 'With key',
        slug: 'with-key',
        initial_key: { type: 'rsa', name: 'k' },
      }),
    )
    const { key, key_file } = created.initial_key
    expect(key_file).toMatchObject({
      type: 'service_account',
      project_id: organization.slug,
      private_key_id: key.id,
      client_email: created.email,
      client_id: created.id,
      token_uri: server.tokenEndpoint,
      audience: server.issuer,
    })
    expect(created.assertion_policy.profile).toBe('google')

    const refused = await server.api('POST', accounts, {
      name: 'None',
      slug: 'none',
      initial_key: { type: 'public_key', public_key: key.public_key },
    })
    expectProblem(refused, 409, 'key_material_taken')
    expect((await server.api('POST', accounts, { name: 'None', slug: 'none' })).status).toBe(201)
  })

  test('points at permissions that nobody defines', async () => {
    const management = await managementServerId(server)
    const answer = await server.api('POST', accounts, {
      name: 'x',
      permissions: [
        { resource_server_id: management, permission: 'audit:read' },
        { resource_server_id: management, permission: 'nosuch' },
        { resource_server_id: `rs_${'0'.repeat(36)}`, permission: 'read' },
      ],
    })
    expectProblem(answer, 422, 'input_invalid')
    expect(pointersOf(answer)).toEqual(['/permissions/1', '/permissions/2'])
  })
})

describe('changing a service account', () => {
  test('touches only what is named', async () => {
    const { id } = await must(
      server.api('POST', accounts, {
        name: 'Patchy',
        owner_contact: 'a@b.example',
        assertion_policy: { require_jti: true },
      }),
    )
    const path = `${accounts}/${id}`
    const patched = await must(
      server.api('PATCH', path, {
        description: 'two\nlines',
        owner_contact: null,
        assertion_policy: { max_lifetime_seconds: 300 },
      }),
    )
    expect(patched).toMatchObject({
      name: 'Patchy',
      description: 'two\nlines',
      owner_contact: null,
      assertion_policy: { require_jti: true, max_lifetime_seconds: 300, profile: 'rfc7523' },
    })
  })

  test('disabling ends its tokens for ever, enabling lets it get new ones', async () => {
    const fixture = await server.createFixture()
    const token = await fixture.getToken()
    await must(server.api('PATCH', fixture.accountPath, { status: 'disabled' }))
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    await must(server.api('PATCH', fixture.accountPath, { status: 'active' }))
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    expect((await fixture.introspect(await fixture.getToken())).body.active).toBe(true)
  })

  test('replaces the list of permissions, and takes their force from tokens at once', async () => {
    const fixture = await server.createFixture()
    const token = await fixture.getToken()
    const permissions = [{ resource_server_id: fixture.resourceServer.id, permission: 'write' }]
    const patched = await must(server.api('PATCH', fixture.accountPath, { permissions }))
    expect(patched.permissions).toEqual(permissions)
    expect((await fixture.introspect(token)).body.scope).toBe('write')
    expect((await must(server.api('PATCH', fixture.accountPath, { permissions: [] }))).permissions).toEqual(
      [],
    )
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
  })

  test('deleting it revokes its keys, ends its tokens and answers the same the second time', async () => {
    const fixture = await server.createFixture()
    const token = await fixture.getToken()
    expect((await server.api('DELETE', fixture.accountPath)).status).toBe(204)
    expect((await fixture.introspect(token)).body).toEqual({ active: false })
    expect((await fixture.requestToken()).body.error).toBe('invalid_grant')
    expect((await server.api('DELETE', fixture.accountPath)).status).toBe(204)
    expectProblem(await server.api('GET', fixture.accountPath), 404, 'resource_not_found')
    expectProblem(await server.api('GET', `${fixture.accountPath}/keys`), 404, 'resource_not_found')
    const jwk = fixture.keyPair.publicJwk
    const again = { name: 'again', initial_key: { type: 'public_key', public_key: jwk } }
    expectProblem(await server.api('POST', accounts, again), 409, 'key_material_taken')
  })
})

describe('nobody grants what they do not hold', () => {
  let tenant: Client
  let management: string
  let fixture: Awaited<ReturnType<TestServer['createFixture']>>
  beforeAll(async () => {
    management = await managementServerId(server)
    fixture = await server.createFixture({ organizationId: organization.id })
    tenant = await createClient(server, {
      organizationId: organization.id,
      permissions: ['service_accounts:read', 'service_accounts:manage'],
      others: [{ resource_server_id: fixture.resourceServer.id, permission: 'read' }],
    })
  })
  const of = (resource_server_id: string, permission: string) => ({ resource_server_id, permission })

  test('what one has can be given, what one lacks is refused by name', async () => {
    const given = await tenant.call('POST', accounts, {
      name: 'allowed',
      permissions: [of(management, 'service_accounts:read'), of(fixture.resourceServer.id, 'read')],
    })
    expect(given.status).toBe(201)
    for (const permission of [of(management, 'audit:read'), of(fixture.resourceServer.id, 'write')]) {
      const refused = await tenant.call('POST', accounts, { name: 'refused', permissions: [permission] })
      expectProblem(refused, 403, 'permission_not_held')
      expect(refused.body.detail).toContain(permission.permission)
      const raised = await tenant.call('PATCH', `${accounts}/${given.body.id}`, { permissions: [permission] })
      expectProblem(raised, 403, 'permission_not_held')
    }
  })

  test('what an account has may stay or be taken by somebody who lacks it', async () => {
    const kept = await tenant.call('PATCH', fixture.accountPath, {
      permissions: [of(fixture.resourceServer.id, 'write')],
    })
    expect(kept.status).toBe(200)
  })

  test('a key for an account that may do more is refused: it would give its maker all that', async () => {
    const strong = await createClient(server, {
      organizationId: organization.id,
      permissions: ['audit:read'],
    })
    expectProblem(
      await tenant.call('POST', `${strong.accountPath}/keys`, { type: 'rsa' }),
      403,
      'permission_not_held',
    )
    const weak = await must(tenant.call('POST', accounts, { name: 'weak' }))
    expect((await tenant.call('POST', `${accounts}/${weak.id}/keys`, { type: 'rsa' })).status).toBe(201)
  })

  test('a token with a narrow scope cannot make itself a wider one', async () => {
    const narrow = await createClient(server, {
      organizationId: organization.id,
      permissions: ['service_accounts:manage', 'audit:read'],
      scope: 'service_accounts:manage',
    })
    const permissions = [of(management, 'audit:read')]
    expectProblem(await narrow.call('POST', accounts, { name: 'x', permissions }), 403, 'permission_not_held')
    expectProblem(
      await narrow.call('POST', `${narrow.accountPath}/keys`, { type: 'rsa' }),
      403,
      'permission_not_held',
    )
  })

  test('only the platform’s managers of resource servers give what they do not hold, never of this API', async () => {
    const { organization: operators } = await must(server.api('GET', '/me'))
    const manager = await createClient(server, {
      organizationId: operators.id,
      permissions: ['service_accounts:manage', 'resource_servers:manage'],
    })
    const path = `/organizations/${operators.id}/service-accounts`
    const foreign = [of(fixture.resourceServer.id, 'admin')]
    expect((await manager.call('POST', path, { name: 'x', permissions: foreign })).status).toBe(201)
    const own = [of(management, 'audit:read')]
    expectProblem(
      await manager.call('POST', path, { name: 'x', permissions: own }),
      403,
      'permission_not_held',
    )

    const tenantManager = await createClient(server, {
      organizationId: organization.id,
      permissions: ['service_accounts:manage', 'resource_servers:manage'],
    })
    const refused = await tenantManager.call('POST', accounts, { name: 'x', permissions: foreign })
    expectProblem(refused, 403, 'permission_not_held')
  })

  test('the list of what can be granted says what the caller may give', async () => {
    const { items } = await must(
      tenant.call('GET', `/organizations/${organization.id}/permissions?limit=200`),
    )
    const grantable = items
      .filter((item: { grantable: boolean }) => item.grantable)
      .map((item: { permission: string; resource_server_id: string }) => item.permission)
    expect(grantable.sort()).toEqual(['read', 'service_accounts:manage', 'service_accounts:read'])
    expect(items.length).toBeGreaterThan(10)
  })
})

test('the last owner of the platform cannot be deleted, disabled or lose its permission', async () => {
  const me = await must(server.api('GET', '/me'))
  const path = `/organizations/${me.organization.id}/service-accounts/${me.account.id}`
  const { permissions } = await must(server.api('GET', path))
  const without = permissions.filter(
    (entry: { permission: string }) => entry.permission !== 'organizations:manage',
  )
  expectProblem(await server.api('DELETE', path), 409, 'last_owner')
  expectProblem(await server.api('PATCH', path, { status: 'disabled' }), 409, 'last_owner')
  expectProblem(await server.api('PATCH', path, { permissions: without }), 409, 'last_owner')
  expect((await server.api('PATCH', path, { name: 'Operator!' })).status).toBe(200)

  await createClient(server, { organizationId: me.organization.id, permissions: ['organizations:manage'] })
  expect((await must(server.api('PATCH', path, { permissions: without }))).permissions).toHaveLength(
    permissions.length - 1,
  )
})
