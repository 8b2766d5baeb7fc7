import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { SignJWT } from 'jose'
import { type ApiToken, basic, createApiToken } from '../support/api-tokens.ts'
import { asClient, byAssertion, createCaller, type Signer } from '../support/client-assertions.ts'
import { createProver } from '../support/dpop.ts'
import { createKeyPair, decode, signCompact } from '../support/jwt.ts'
import { type Answer, type Fixture, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { expectRefusal } from './support.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** What a server like this one might advertise. Whatever it does advertise must work, the rest must not. */
const GRANT_TYPES = [
  JWT_BEARER,
  'client_credentials',
  'authorization_code',
  'implicit',
  'password',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:saml2-bearer',
  'urn:openid:params:grant-type:ciba',
]
const AUTH_METHODS = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'Bearer',
]

/** Each registered algorithm that signs, and two that are kept for accidents. `EdDSA` and `Ed25519` mean one. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'HS256',
  'none',
]

/** How a client of a grant authenticates that is advertised. */
const METHODS_OF_GRANTS: Record<string, string> = {
  [JWT_BEARER]: 'none',
  client_credentials: 'client_secret_post',
}

let server: TestServer
let fixture: Fixture
let apiToken: ApiToken
/** Who may sign at each endpoint that authenticates. */
let signers: Record<'token' | 'introspection', Signer>
let document: Record<string, string[] | string | undefined>

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture({ permissions: ['read', 'tokens:introspect'] })
  apiToken = await createApiToken(server, fixture)
  signers = {
    token: asClient(server, fixture),
    introspection: await createCaller(server, fixture.resourceServer.id),
  }
  document = await getJson(`${server.issuer}/.well-known/oauth-authorization-server`)
})

afterAll(() => server.close())

async function getJson(url: string): Promise<Answer['body']> {
  return (await toAnswer(await fetch(url))).body
}

/** A request that would succeed if the grant were there. */
async function useGrant(grantType: string): Promise<Answer> {
  const assertion = await fixture.assertion()
  return server.post('/oauth/token', {
    grant_type: grantType,
    assertion,
    ...(await toCredentials(METHODS_OF_GRANTS[grantType] ?? 'private_key_jwt', account(), signers.token)),
    code: 'x',
    username: fixture.accountId,
    password: 'x',
    refresh_token: 'x',
    subject_token: assertion,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    device_code: 'x',
    scope: 'read',
  })
}

type Client = { id: string; secret: string }

/** The client of the token endpoint. That of introspection is the resource server. */
function account(): Client {
  return { id: fixture.accountId, secret: apiToken.token }
}

/** The form members of a method that authenticates in the body. */
async function toCredentials(
  method: string,
  client: Client,
  signer: Signer,
): Promise<Record<string, string>> {
  if (method === 'client_secret_post') return { client_id: client.id, client_secret: client.secret }
  if (method === 'private_key_jwt') return byAssertion(await signer.assertion())
  if (method === 'client_secret_jwt') return byAssertion(await signWithSecret(client, signer.claims()))
  if (method === 'tls_client_auth') return { client_id: client.id }
  return {}
}

/** The method that keeps the secret off the wire: a MAC by it (OpenID Connect Core §9). */
function signWithSecret(client: Client, claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(client.secret))
}

async function toHeaders(method: string, client: Client): Promise<Record<string, string>> {
  if (method === 'client_secret_basic') return { authorization: basic(client.id, client.secret) }
  if (method === 'Bearer') return { authorization: `Bearer ${await fixture.getToken()}` }
  return {}
}

/** A request with good credentials of that kind, to an endpoint that needs nothing else. */
async function authenticate(
  path: string,
  form: Record<string, string>,
  method: string,
  { client, signer }: { client: Client; signer: Signer },
): Promise<Answer> {
  return server.post(
    path,
    { ...form, ...(await toCredentials(method, client, signer)) },
    await toHeaders(method, client),
  )
}

describe('every advertised member is one that is known here, and works', () => {
  test('[8414-ext-2] nothing is advertised that this test does not try', () => {
    const tried = {
      grant_types_supported: GRANT_TYPES,
      token_endpoint_auth_methods_supported: AUTH_METHODS,
      introspection_endpoint_auth_methods_supported: AUTH_METHODS,
      token_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      introspection_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      introspection_signing_alg_values_supported: ALGORITHMS,
      revocation_endpoint_auth_methods_supported: AUTH_METHODS,
      revocation_endpoint_auth_signing_alg_values_supported: ALGORITHMS,
      response_types_supported: ['none'],
      // Held by the tests of the management API's own metadata.
      protected_resources: [`${server.issuer}/api/v1`],
      dpop_signing_alg_values_supported: ALGORITHMS,
    } as const
    for (const [member, value] of Object.entries(document)) {
      if (!Array.isArray(value)) continue
      expect(tried).toHaveProperty(member)
      const known: readonly string[] = tried[member as keyof typeof tried]
      expect(value.filter((item) => !known.includes(item))).toEqual([])
    }
  })

  test('[8414-ext-2] every advertised location is served, and is below the issuer', async () => {
    const urls = Object.entries(document).filter(([name]) => /_(endpoint|uri|documentation)$/.test(name))
    expect(urls.length).toBeGreaterThan(0)
    for (const [, url] of urls) {
      expect(String(url).startsWith(`${server.issuer}/`)).toBe(true)
      expect((await fetch(String(url))).status).not.toBe(404)
    }
  })

  test.each(['authorize', 'par', 'register', 'userinfo', 'device_authorization', 'revoke', 'logout'])(
    '[8414-ext-2] /oauth/%s is served exactly if it is advertised',
    async (name) => {
      const url = `${server.issuer}/oauth/${name}`
      const isServed = (await fetch(url, { method: 'POST' })).status !== 404
      expect(isServed).toBe(Object.values(document).includes(url))
    },
  )
})

test.each(GRANT_TYPES)('[8414-ext-2] the grant %s works exactly if it is advertised', async (grantType) => {
  const answer = await useGrant(grantType)
  if (document.grant_types_supported?.includes(grantType)) expect(answer.status).toBe(200)
  else expectRefusal(answer, 400, 'unsupported_grant_type')
})

test.each(GRANT_TYPES)(
  '[8414-ext-2] the grant %s is refused by name, without credentials, unless it is advertised',
  async (grantType) => {
    if (document.grant_types_supported?.includes(grantType)) return
    const answer = await server.post('/oauth/token', { grant_type: grantType, assertion: 'x' })
    expectRefusal(answer, 400, 'unsupported_grant_type')
  },
)

describe('at the token endpoint', () => {
  test.each(AUTH_METHODS)('[8414-ext-2] %s works exactly if it is advertised', async (method) => {
    if (method === 'tls_client_auth') return
    const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion(), scope: 'read' }
    const answer = await authenticate('/oauth/token', form, method, {
      client: account(),
      signer: signers.token,
    })
    if (document.token_endpoint_auth_methods_supported?.includes(method)) expect(answer.status).toBe(200)
    else expectRefusal(answer, 'client_secret_basic Bearer'.includes(method) ? 401 : 400, 'invalid_client')
  })
})

describe('at the introspection endpoint', () => {
  test.each(AUTH_METHODS)('[8414-ext-2] %s works exactly if it is advertised', async (method) => {
    const form = { token: await fixture.getToken() }
    const answer = await authenticate('/oauth/introspect', form, method, {
      client: fixture.resourceServer,
      signer: signers.introspection,
    })
    if (document.introspection_endpoint_auth_methods_supported?.includes(method))
      expect(answer.body).toMatchObject({ active: true, client_id: fixture.accountId })
    else expectRefusal(answer, /^client_secret|_jwt$/.test(method) ? 401 : 400, 'invalid_client')
  })
})

describe('at the revocation endpoint', () => {
  test.each(AUTH_METHODS)('[8414-ext-2] %s works exactly if it is advertised', async (method) => {
    const token = await fixture.getToken()
    const parties = { client: account(), signer: signers.token }
    const answer = await authenticate('/oauth/revoke', { token }, method, parties)
    const isAdvertised = document.revocation_endpoint_auth_methods_supported?.includes(method)
    if (isAdvertised) expect(answer.status).toBe(200)
    else expectRefusal(answer, method === 'Bearer' ? 401 : 400, 'invalid_client')
    expect((await fixture.introspect(token)).body.active).toBe(!isAdvertised)
  })
})

test.each(ALGORITHMS)(
  '[8414-ext-2] introspection answers can be signed with %s exactly if it is advertised',
  async (algorithm) => {
    const path = `/resource-servers/${fixture.resourceServer.id}`
    const { status } = await server.api('PATCH', path, { introspection_signing_algorithm: algorithm })
    const isAdvertised = document.introspection_signing_alg_values_supported?.includes(algorithm)
    expect(status).toBe(isAdvertised ? 200 : 422)
    if (!isAdvertised) return
    const answer = await server.post(
      '/oauth/introspect',
      { token: 'x' },
      {
        authorization: fixture.resourceServer.authorization,
        accept: 'application/token-introspection+jwt',
      },
    )
    expect(decode(answer.text).header.alg).toBe(algorithm)
  },
)

describe.each(['token', 'introspection'] as const)('the algorithms of assertions at %s', (endpoint) => {
  const keysOf = () =>
    endpoint === 'token'
      ? `${fixture.accountPath}/keys`
      : `/resource-servers/${fixture.resourceServer.id}/keys`

  test.each(ALGORITHMS.filter((alg) => !['HS256', 'none'].includes(alg)))(
    `[8414-ext-2] a key for %s can be registered, and authenticates at ${endpoint}, exactly if it is advertised`,
    async (alg) => {
      const advertised = document[`${endpoint}_endpoint_auth_signing_alg_values_supported`]
      const pair = await createKeyPair(alg)
      const registered = alg === 'Ed25519' ? 'EdDSA' : alg
      const { status, body } = await server.api('POST', keysOf(), {
        ...(endpoint === 'token' && { type: 'public_key' }),
        public_key: { ...pair.publicJwk, alg: registered },
      })
      expect(status === 201).toBe(advertised?.includes(alg))
      if (status !== 201) return
      const { id } = endpoint === 'token' ? body.key : body
      const assertion = await signCompact({ alg, kid: id }, signers[endpoint].claims(), pair.privateKey)
      const form = { grant_type: 'client_credentials', scope: 'read', token: 'x', ...byAssertion(assertion) }
      const path = endpoint === 'token' ? '/oauth/token' : '/oauth/introspect'
      expect((await server.post(path, form)).status).toBe(200)
      await server.api('DELETE', `${keysOf()}/${id}`)
    },
  )

  test.each(['HS256', 'none'])(`[8414-ext-2] %s is not advertised for ${endpoint}`, (alg) => {
    expect(document[`${endpoint}_endpoint_auth_signing_alg_values_supported`]).not.toContain(alg)
  })
})

test.each(ALGORITHMS.filter((alg) => !['HS256', 'none'].includes(alg)))(
  '[8414-ext-2][9449-4.3-5] a DPoP proof with %s is accepted exactly if it is advertised',
  async (algorithm) => {
    const prover = await createProver(server, algorithm)
    if (document.dpop_signing_alg_values_supported?.includes(algorithm)) {
      expect((await prover.requestToken(fixture)).status).toBe(200)
      return
    }
    const answer = await server.post('/oauth/token', {}, { dpop: await prover.prove() })
    expectRefusal(answer, 400, 'invalid_dpop_proof')
  },
)

test('[8414-ext-2] each algorithm that resource servers may choose has a published key', async () => {
  const { keys } = await getJson(document.jwks_uri as string)
  for (const signingAlgorithm of ['ES256', 'RS256', 'EdDSA'] as const) {
    const chosen = await server.createFixture({ algorithm: 'ES256', signingAlgorithm })
    const [header = ''] = (await chosen.getToken()).split('.')
    const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    expect(keys).toContainEqual(expect.objectContaining({ alg, kid }))
    expect(alg).toBe(signingAlgorithm)
  }
})
