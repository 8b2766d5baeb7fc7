import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import {
  builtInRoleId,
  type Client,
  createClient,
  createOrganization,
  expectProblem,
  managementServerId,
  pointersOf,
} from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import {
  codeFor,
  createAdministrator,
  createBrowser,
  enrol,
  secretOf,
  signIn,
  type TestAdministrator,
} from '../support/sign-in.ts'

const PASSWORD = 'a long pass phrase'
const HOUR_SECONDS = 3600

let server: TestServer
let organizationId: string
let administrators: string
let ownerRole: string
let viewerRole: string
/** May manage administrators, and nothing else. */
let manager: Client
beforeAll(async () => {
  server = await startTestServer()
  organizationId = (await createOrganization(server)).id
  administrators = `/organizations/${organizationId}/administrators`
  ownerRole = await builtInRoleId(server, 'owner')
  viewerRole = await builtInRoleId(server, 'viewer')
  manager = await createClient(server, {
    organizationId,
    permissions: ['administrators:read', 'administrators:manage'],
  })
})
afterAll(() => server.close())

let count = 0
const newEmail = () => `new-${++count}@people.example`
const invite = (members: Record<string, unknown> = {}) =>
  must(server.api('POST', administrators, { name: 'Somebody', email: newEmail(), ...members }))
const accept = (invitationUrl: string, password = PASSWORD) =>
  createBrowser(server).call('POST', '/invitation/accept', { invitation: secretOf(invitationUrl), password })
const tryToSignIn = (email: string, password = PASSWORD) =>
  createBrowser(server).call('POST', '/password', { email, password })

describe('an invitation', () => {
  test('is shown once, makes an account that may do nothing, and is no part of it afterwards', async () => {
    const email = newEmail()
    const answer = await server.api('POST', administrators, { name: 'Ada', email })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const { invitation_url, ...administrator } = answer.body
    expect(invitation_url).toMatch(/\/console\/invitation#csi_[\w-]{43}$/)
    expect(administrator).toMatchObject({
      organization_id: organizationId,
      kind: 'administrator',
      name: 'Ada',
      email,
      status: 'invited',
      role_ids: [],
      permissions: [],
      group_access: [],
      groups_administrator: null,
      has_second_factor: false,
      last_sign_in_at: null,
    })
    const read = await server.api('GET', `${administrators}/${administrator.id}`)
    expect(read.body).toEqual(administrator)
    expect(answer.headers.get('location')).toBe(`/api/v1${administrators}/${administrator.id}`)
  })

  test('says whose it is, makes the account active, and counts once', async () => {
    const { id, email, invitation_url } = await invite()
    const browser = createBrowser(server)
    const found = await must(browser.call('POST', '/invitation', { invitation: secretOf(invitation_url) }))
    expect(found).toMatchObject({ email, name: 'Somebody' })
    expectProblem(await tryToSignIn(email), 401, 'sign_in_refused')
    expect((await accept(invitation_url)).body).toMatchObject({ email, organization: { id: organizationId } })
    expectProblem(await accept(invitation_url), 410, 'invitation_invalid')
    expect((await tryToSignIn(email)).status).toBe(200)
    const after = await must(server.api('GET', `${administrators}/${id}`))
    expect(after).toMatchObject({ status: 'active', invitation_expires_at: null })
    expect(after.last_sign_in_at).not.toBeNull()
  })

  test('of two who come at once lets one in', async () => {
    const { invitation_url } = await invite()
    const answers = await Promise.all([
      accept(invitation_url, 'one pass phrase'),
      accept(invitation_url, 'other pass phrase'),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410])
  })

  test('counts for 72 hours', async () => {
    const [good, late] = [await invite(), await invite()]
    server.clock.advance(71 * HOUR_SECONDS)
    await server.maintain()
    expect((await accept(good.invitation_url)).status).toBe(200)
    server.clock.advance(HOUR_SECONDS)
    expectProblem(await accept(late.invitation_url), 410, 'invitation_invalid')
    manager = await createClient(server, {
      organizationId,
      permissions: ['administrators:read', 'administrators:manage'],
    })
  })

  test.each<[string, (path: string) => Promise<unknown>]>([
    ['a newer one is made', (path) => server.api('POST', `${path}/invitation`)],
    ['the administrator is disabled', (path) => server.api('PATCH', path, { status: 'disabled' })],
    ['the administrator is deleted', (path) => server.api('DELETE', path)],
  ])('stops counting when %s', async (_what, end) => {
    const { id, invitation_url } = await invite()
    await end(`${administrators}/${id}`)
    expectProblem(await accept(invitation_url), 410, 'invitation_invalid')
  })

  test.each(['csi_', 'nonsense', `csi_${'A'.repeat(43)}`])(
    'that was never made (%s) opens nothing',
    async (invitation) => {
      const browser = createBrowser(server)
      for (const path of ['/invitation', '/invitation/accept']) {
        const body = path === '/invitation' ? { invitation } : { invitation, password: PASSWORD }
        expectProblem(await browser.call('POST', path, body), 410, 'invitation_invalid')
      }
    },
  )

  test('is refused for an address that an account has, in whatever capitals', async () => {
    const { email } = await invite()
    const again = { name: 'Twin', email: email.toUpperCase() }
    expectProblem(await server.api('POST', administrators, again), 409, 'email_taken')
  })

  test('is refused for what reads like a service account of any organization, so that nobody takes its name', async () => {
    const other = await createOrganization(server)
    const host = new URL(server.issuer).hostname
    for (const email of [`wrench@${other.slug}.${host}`, `Wrench@${other.slug.toUpperCase()}.${host}`]) {
      const answer = await server.api('POST', administrators, { name: 'Person', email })
      expectProblem(answer, 422, 'input_invalid')
      expect(pointersOf(answer)).toEqual(['/email'])
    }
    const accounts = `/organizations/${other.id}/service-accounts`
    expect((await must(server.api('POST', accounts, { name: 'wrench' }))).slug).toBe('wrench')
  })

  test.each([
    ['/email', { email: 'no address' }],
    ['/email', { email: 'a\u0007@people.example' }],
    ['/name', { name: '' }],
    ['/delegation', { delegation: null }],
    ['/slug', { slug: 'ada' }],
    ['/status', { status: 'active' }],
  ])('with a fault at %s is refused', async (pointer, members) => {
    const answer = await server.api('POST', administrators, { name: 'A', email: newEmail(), ...members })
    expectProblem(answer, 422, 'input_invalid')
    expect(pointersOf(answer)).toEqual([pointer])
  })
})

describe('nobody gives what they lack (promise 8)', () => {
  test('by inviting', async () => {
    for (const members of [{ role_ids: [ownerRole] }, { groups_administrator: 'viewer' }]) {
      const answer = await manager.call('POST', administrators, { name: 'A', email: newEmail(), ...members })
      expectProblem(answer, 403, 'permission_not_held')
    }
    const management = await managementServerId(server)
    const held = [{ resource_server_id: management, permission: 'administrators:read' }]
    await must(manager.call('POST', administrators, { name: 'A', email: newEmail(), permissions: held }))
  })

  test('by changing what an administrator has', async () => {
    const { id } = await invite()
    const change = { role_ids: [ownerRole] }
    expectProblem(await manager.call('PATCH', `${administrators}/${id}`, change), 403, 'permission_not_held')
  })

  test('by resetting the password of somebody more powerful', async () => {
    const powerful = await createAdministrator(server, organizationId, { role_ids: [viewerRole] })
    const browser = await signIn(server, powerful)
    expectProblem(await manager.call('POST', `${powerful.path}/invitation`), 403, 'permission_not_held')
    expect((await browser.call('GET', '/session')).status).toBe(200)
    expect((await tryToSignIn(powerful.email, powerful.password)).status).toBe(200)
  })

  test('by enabling somebody more powerful', async () => {
    const powerful = await createAdministrator(server, organizationId, { role_ids: [viewerRole] })
    await must(manager.call('PATCH', powerful.path, { status: 'disabled' }))
    expectProblem(
      await manager.call('PATCH', powerful.path, { status: 'active' }),
      403,
      'permission_not_held',
    )
  })

  test('by keeping the link of an account that others give more later', async () => {
    const invited = await must(manager.call('POST', administrators, { name: 'A', email: newEmail() }))
    await must(server.api('PATCH', `${administrators}/${invited.id}`, { role_ids: [ownerRole] }))
    expectProblem(await accept(invited.invitation_url), 410, 'invitation_invalid')
    const { invitation_url } = await must(server.api('POST', `${administrators}/${invited.id}/invitation`))
    expect((await accept(invitation_url)).status).toBe(200)
  })

  test('by an identity provider of their own', async () => {
    const { id } = await createOrganization(server)
    const path = `/organizations/${id}/identity-provider`
    const provider = { issuer: 'https://mine.example', client_id: 'c', email_domains: ['people.example'] }
    // It could sign in as an owner who is invited later.
    const settings = await createClient(server, {
      organizationId: id,
      permissions: ['organizations:read', 'organizations:manage'],
    })
    expectProblem(await settings.call('PUT', path, provider), 403, 'permission_not_held')
    const owner = await createClient(server, {
      organizationId: id,
      permissions: [],
      access: { role_ids: [ownerRole] },
    })
    expect((await owner.call('PUT', path, provider)).status).toBe(201)
    const stronger = { name: 'A', email: newEmail(), groups_administrator: 'viewer' }
    await must(server.api('POST', `/organizations/${id}/administrators`, stronger))
    expectProblem(await owner.call('PUT', path, provider), 403, 'permission_not_held')
  })
})

describe('a reset', () => {
  let person: TestAdministrator
  beforeEach(async () => {
    person = await createAdministrator(server, organizationId)
  })

  test('ends sessions and password, and keeps the second factor', async () => {
    const browser = await signIn(server, person)
    const { secret } = await enrol(server, browser, person.password)
    server.clock.advance(30)
    const { invitation_url, status } = await must(server.api('POST', `${person.path}/invitation`))
    expect(status).toBe('active')
    expectProblem(await browser.call('GET', '/session'), 401, 'session_missing')
    expectProblem(await tryToSignIn(person.email, person.password), 401, 'sign_in_refused')
    await must(accept(invitation_url))
    const pending = createBrowser(server)
    const { status: progress } = await must(
      pending.call('POST', '/password', { email: person.email, password: PASSWORD }),
    )
    expect(progress).toBe('second_factor_required')
    await must(pending.call('POST', '/second-factor', { code: codeFor(server, secret) }))
  })

  test('takes a lost second factor away when that is asked for', async () => {
    await enrol(server, await signIn(server, person), person.password)
    const { invitation_url, has_second_factor } = await must(
      server.api('POST', `${person.path}/invitation`, { remove_second_factor: true }),
    )
    expect(has_second_factor).toBe(false)
    await must(accept(invitation_url))
    expect((await tryToSignIn(person.email)).body).toEqual({ status: 'signed_in' })
  })

  test('of a disabled administrator is refused: it would let them in', async () => {
    await must(server.api('PATCH', person.path, { status: 'disabled' }))
    expectProblem(await server.api('POST', `${person.path}/invitation`), 409, 'administrator_disabled')
  })
})

describe('an administrator', () => {
  test('is enabled with the password they had, or invited when they had none', async () => {
    const person = await createAdministrator(server, organizationId)
    await must(server.api('PATCH', person.path, { status: 'disabled' }))
    expect((await must(server.api('PATCH', person.path, { status: 'active' }))).status).toBe('active')
    expect((await tryToSignIn(person.email, person.password)).status).toBe(200)
    const { id } = await invite()
    await must(server.api('PATCH', `${administrators}/${id}`, { status: 'disabled' }))
    const enabled = await must(server.api('PATCH', `${administrators}/${id}`, { status: 'active' }))
    expect(enabled.status).toBe('invited')
  })

  test('is deleted for good, and the address is free again', async () => {
    const person = await createAdministrator(server, organizationId)
    expect((await server.api('DELETE', person.path)).status).toBe(204)
    expect((await server.api('DELETE', person.path)).status).toBe(204)
    expectProblem(await server.api('GET', person.path), 404, 'resource_not_found')
    expectProblem(await tryToSignIn(person.email, person.password), 401, 'sign_in_refused')
    await invite({ email: person.email })
  })

  test('is no service account, nor the other way round', async () => {
    const person = await createAdministrator(server, organizationId)
    const asService = person.path.replace('/administrators/', '/service-accounts/')
    expectProblem(await server.api('GET', asService), 404, 'resource_not_found')
    expectProblem(await server.api('POST', `${asService}/keys`, { type: 'rsa' }), 404, 'resource_not_found')
    expectProblem(
      await server.api('GET', `${administrators}/${manager.accountId}`),
      404,
      'resource_not_found',
    )
  })

  test('who is the last owner stays', async () => {
    const { id } = await createOrganization(server)
    const owner = await createAdministrator(server, id, { role_ids: [ownerRole] })
    expectProblem(await server.api('PATCH', owner.path, { status: 'disabled' }), 409, 'last_owner')
    expectProblem(await server.api('PATCH', owner.path, { role_ids: [] }), 409, 'last_owner')
    expectProblem(await server.api('DELETE', owner.path), 409, 'last_owner')
    // One who is only invited is no owner yet.
    await must(
      server.api('POST', `/organizations/${id}/administrators`, {
        name: 'B',
        email: newEmail(),
        role_ids: [ownerRole],
      }),
    )
    expectProblem(await server.api('DELETE', owner.path), 409, 'last_owner')
    await createAdministrator(server, id, { role_ids: [ownerRole] })
    expect((await server.api('DELETE', owner.path)).status).toBe(204)
  })

  test('leaves a trail without secrets', async () => {
    const person = await createAdministrator(server, organizationId)
    await must(server.api('PATCH', person.path, { role_ids: [viewerRole] }))
    await must(server.api('POST', `${person.path}/invitation`))
    await must(server.api('PATCH', person.path, { status: 'disabled' }))
    const answer = await server.api(
      'GET',
      `/organizations/${organizationId}/audit-events?target=${person.id}`,
    )
    expect(answer.body.items.map((event: { action: string }) => event.action)).toEqual([
      'administrator.disabled',
      'administrator.reset',
      'administrator.updated',
      'administrator.invitation_accepted',
      'administrator.invited',
    ])
    expect(answer.text).not.toMatch(/csi_|argon2|pass phrase/)
  })
})

describe('an identity provider', () => {
  const PROVIDER = {
    issuer: 'https://login.acme.example',
    client_id: 'countersign',
    client_secret: 'a-client-secret',
    email_domains: ['Acme.example', 'acme.example'],
  }
  let path: string
  beforeEach(async () => {
    path = `/organizations/${(await createOrganization(server)).id}/identity-provider`
  })

  test('is set, shown without its secret, replaced and removed', async () => {
    expectProblem(await server.api('GET', path), 404, 'identity_provider_missing')
    const created = await server.api('PUT', path, PROVIDER)
    expect(created.status).toBe(201)
    expect(created.body).toMatchObject({
      issuer: PROVIDER.issuer,
      has_client_secret: true,
      email_domains: ['acme.example'],
      redirect_uri: `${server.issuer}/sign-in/openid/callback/${path.split('/')[2]}`,
    })
    expect(created.text).not.toContain(PROVIDER.client_secret)
    const { client_secret: _kept, ...rest } = PROVIDER
    const same = await server.api('PUT', path, rest)
    expect({ status: same.status, kept: same.body.has_client_secret }).toEqual({ status: 200, kept: true })
    // A secret is never sent to another provider than the one it was given for, and none is never made of one.
    const elsewhere = { ...rest, issuer: 'https://other.example' }
    const refused = await server.api('PUT', path, elsewhere)
    expectProblem(refused, 422, 'input_invalid')
    expect(pointersOf(refused)).toEqual(['/client_secret'])
    expect(await must(server.api('GET', path))).toMatchObject({ issuer: PROVIDER.issuer })
    const moved = await must(server.api('PUT', path, { ...elsewhere, client_secret: null }))
    expect(moved.has_client_secret).toBe(false)
    expect((await must(server.api('PUT', path, rest))).has_client_secret).toBe(false)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expect((await server.api('DELETE', path)).status).toBe(204)
    expectProblem(await server.api('GET', path), 404, 'identity_provider_missing')
  })

  test.each([
    ['/issuer', { issuer: 'http://login.acme.example' }],
    ['/issuer', { issuer: 'https://login.acme.example/?a=b' }],
    ['/issuer', { issuer: 'https://user:pass@login.acme.example' }],
    ['/issuer', { issuer: 'ftp://login.acme.example' }],
    ['/email_domains', { email_domains: [] }],
    ['/email_domains/0', { email_domains: ['@acme.example'] }],
    ['/email_domains/0', { email_domains: ['*'] }],
  ])('with a fault at %s is refused', async (pointer, members) => {
    const answer = await server.api('PUT', path, { ...PROVIDER, ...members })
    expectProblem(answer, 422, 'input_invalid')
    expect(pointersOf(answer)).toEqual([pointer])
  })
})
