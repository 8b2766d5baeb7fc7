import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createApiToken } from '../support/api-tokens.ts'
import { createProver } from '../support/dpop.ts'
import { createOrganization, expectProblem, pointersOf, request } from '../support/management.ts'
import { type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let fixture: Fixture

beforeAll(async () => {
  server = await startTestServer({ trustedProxies: ['loopback'], clientCertificateHeader: 'client-cert' })
  fixture = await server.createFixture({ algorithm: 'ES256' })
})

afterAll(() => server.close())

const REQUIRED = { require_dpop: true }

describe('require_dpop', () => {
  test('is off unless asked for, and can be changed by itself', async () => {
    const policy = async () => (await must(server.api('GET', fixture.accountPath))).assertion_policy
    const before = await policy()
    expect(before.require_dpop).toBe(false)
    await must(server.api('PATCH', fixture.accountPath, { assertion_policy: REQUIRED }))
    expect(await policy()).toEqual({ ...before, require_dpop: true })
    await must(server.api('PATCH', fixture.accountPath, { assertion_policy: { require_dpop: false } }))
    expect(await policy()).toEqual(before)
  })

  test('does not go with profile google, whose client libraries send no proofs', async () => {
    const path = `/organizations/${fixture.organizationId}/service-accounts`
    const both = { profile: 'google', require_dpop: true }
    const created = await server.api('POST', path, { name: 'Both', assertion_policy: both })
    expectProblem(created, 422, 'input_invalid')
    expect(pointersOf(created)).toEqual(['/assertion_policy/require_dpop'])
    const account = await must(
      server.api('POST', path, { name: 'One', assertion_policy: { profile: 'google' } }),
    )
    const patched = await server.api('PATCH', `${path}/${account.id}`, { assertion_policy: REQUIRED })
    expectProblem(patched, 422, 'input_invalid')
  })

  test('lets a JSON key file be made, and keeps the profile', async () => {
    const path = `/organizations/${fixture.organizationId}/service-accounts`
    const account = await must(server.api('POST', path, { name: 'File', assertion_policy: REQUIRED }))
    const key = await must(server.api('POST', `${path}/${account.id}/keys`, { type: 'rsa' }))
    expect(key.key_file.type).toBe('service_account')
    const { assertion_policy } = await must(server.api('GET', `${path}/${account.id}`))
    expect(assertion_policy).toMatchObject({ profile: 'rfc7523', require_dpop: true })
  })

  test('keeps API tokens from being used as they are; as client secret they get bound tokens', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const { token, authorization } = await createApiToken(server, by)
    const ask = async () => ({
      introspected: (await by.introspect(token)).body.active,
      management: (await request(server, 'GET', '/me', { token })).status,
    })
    const before = await ask()
    await must(server.api('PATCH', by.accountPath, { assertion_policy: REQUIRED }))
    expect(before.introspected).toBe(true)
    expect(await ask()).toEqual({ introspected: false, management: 401 })

    const prover = await createProver(server)
    const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
    const form = { grant_type: 'client_credentials' }
    expect((await server.post('/oauth/token', form, { authorization, dpop })).body.token_type).toBe('DPoP')
  })

  test('leaves tokens as they are that the account has already', async () => {
    const by = await server.createFixture({ algorithm: 'ES256' })
    const token = await by.getToken()
    await must(server.api('PATCH', by.accountPath, { assertion_policy: REQUIRED }))
    expect((await by.introspect(token)).body.active).toBe(true)
    await must(server.api('DELETE', `${by.accountPath}/tokens`))
    expect((await by.introspect(token)).body.active).toBe(false)
  })

  test('refusals of it stand in the trail of the organization', async () => {
    const { id: organizationId } = await createOrganization(server)
    const by = await server.createFixture({ algorithm: 'ES256', organizationId, assertionPolicy: REQUIRED })
    await by.requestToken()
    const path = `/organizations/${organizationId}/audit-events?action=token.refused`
    for (let attempt = 0; attempt < 100; attempt++) {
      const [event] = (await must(server.api('GET', path))).items
      if (event === undefined) continue
      expect(event).toMatchObject({ reason: 'proof_required', target: { id: by.accountId } })
      return
    }
    throw new Error('the refusal is not in the trail')
  })
})

describe('the sender constraints of a resource server', () => {
  const path = () => `/resource-servers/${fixture.resourceServer.id}`

  test('are both, unless it is told otherwise, and a change stands in the trail', async () => {
    expect((await must(server.api('GET', path()))).sender_constraints).toEqual(['dpop', 'mtls'])
    const made = await must(
      server.api('POST', '/resource-servers', {
        identifier: 'https://plain.example.test',
        name: 'Plain',
        sender_constraints: [],
      }),
    )
    expect(made.sender_constraints).toEqual([])
    await must(server.api('PATCH', `/resource-servers/${made.id}`, { sender_constraints: ['mtls'] }))
    const { organization } = await must(server.api('GET', '/me'))
    const trail = `/organizations/${organization.id}/audit-events?target=${made.id}`
    const [event] = (await must(server.api('GET', trail))).items
    expect(event).toMatchObject({
      action: 'resource_server.updated',
      changes: { before: { sender_constraints: [] }, after: { sender_constraints: ['mtls'] } },
    })
  })

  test.each([[['dpop', 'dpop']], [['tls']], ['dpop'], [null]])('are not %j', async (value) => {
    expectProblem(await server.api('PATCH', path(), { sender_constraints: value }), 422, 'input_invalid')
  })
})

test('a certificate that the proxy garbles is a problem of its own', async () => {
  const headers = { authorization: `Bearer ${await server.operatorToken()}`, 'client-cert': 'nonsense' }
  expectProblem(await request(server, 'GET', '/me', { headers }), 400, 'certificate_malformed')
})
