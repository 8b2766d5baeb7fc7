import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { importJWK } from 'jose'
import { parseConfig } from '../../src/config.ts'
import { OperatorError } from '../../src/errors.ts'
import { type Answer, startTestServer, type TestServer, toAnswer } from '../support/server.ts'
import { expectRefusal } from './support.ts'

const LOCATION = '/.well-known/oauth-authorization-server'
const OIDC_LOCATION = '/.well-known/openid-configuration'
const JWKS = '/.well-known/jwks.json'

let server: TestServer
/** The same application behind a reverse proxy, below a path of its host. */
let tenant: TestServer
let document: Record<string, unknown>

beforeAll(async () => {
  server = await startTestServer()
  tenant = await startTestServer({ issuer: 'https://id.example.test/t1' })
  document = (await get(server, LOCATION)).body
})

afterAll(async () => {
  await server.close()
  await tenant.close()
})

async function get(from: TestServer, path: string, init: RequestInit = {}): Promise<Answer> {
  return toAnswer(await fetch(from.url + path, init))
}

describe('the document', () => {
  test('[8414-2-1][8414-2-2][8414-2-3][bis-1] names the issuer as configured, its endpoints, and no response type that promises anything', () => {
    expect(document).toMatchObject({
      issuer: server.issuer,
      token_endpoint: `${server.issuer}/oauth/token`,
      introspection_endpoint: `${server.issuer}/oauth/introspect`,
      revocation_endpoint: `${server.issuer}/oauth/revoke`,
      response_types_supported: ['none'],
    })
    expect(document).not.toHaveProperty('authorization_endpoint')
  })

  test('[8414-2-4] lists the grant types, so that no default claims authorization codes', () => {
    expect(document.grant_types_supported).toEqual(
      expect.arrayContaining(['urn:ietf:params:oauth:grant-type:jwt-bearer']),
    )
    expect(document.grant_types_supported).not.toContain('authorization_code')
    expect(document.grant_types_supported).not.toContain('implicit')
  })

  test('[8414-2-5] lists authentication methods for each endpoint that authenticates, with algorithms where they sign', () => {
    for (const endpoint of ['token', 'introspection', 'revocation']) {
      if (!(`${endpoint}_endpoint` in document)) continue
      const methods = document[`${endpoint}_endpoint_auth_methods_supported`] as string[]
      expect(methods.length).toBeGreaterThan(0)
      const algorithms = document[`${endpoint}_endpoint_auth_signing_alg_values_supported`]
      const isSigned = methods.some((method) => method.endsWith('_jwt'))
      expect(Array.isArray(algorithms)).toBe(isSigned)
      expect(algorithms ?? []).not.toContain('none')
    }
  })

  test('[8414-2-6] has no member that is null or empty', () => {
    for (const value of Object.values(document)) {
      expect(value).not.toBeNull()
      expect(value).not.toHaveLength(0)
    }
  })

  test('[8414-2-7] leads to public keys, each with an id, an algorithm and a use', async () => {
    const answer = await toAnswer(await fetch(document.jwks_uri as string))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^application\/jwk-set\+json/)
    expect(answer.body.keys.map((key: { alg: string }) => key.alg).sort()).toEqual([
      'ES256',
      'ES256',
      'EdDSA',
      'EdDSA',
      'RS256',
      'RS256',
    ])
    for (const key of answer.body.keys) {
      expect(key).toMatchObject({ kid: expect.stringMatching(/^sig_/), use: 'sig' })
      expect(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].filter((member) => member in key)).toEqual([])
      await expect(importJWK(key)).resolves.toMatchObject({ type: 'public' })
    }
  })

  test('[8414-2-7] leads to https wherever the issuer is https', async () => {
    const { body } = await get(tenant, `${LOCATION}/t1`)
    expect(body.jwks_uri).toBe('https://id.example.test/t1/.well-known/jwks.json')
    expect((await get(tenant, `/t1${JWKS}`)).body.keys).toHaveLength(6)
  })

  test('[8414-ext-1] has extension members for what is built, and a documentation page that is there', async () => {
    const notBuilt = ['tls_client_certificate_bound_access_tokens', 'mtls_endpoint_aliases']
    expect(notBuilt.filter((member) => member in document)).toEqual([])
    expect(document).toHaveProperty('dpop_signing_alg_values_supported')
    expect((await fetch(document.service_documentation as string)).status).toBe(200)
  })
})

describe('an issuer', () => {
  test.each([
    'https://id.example.test?tenant=1',
    'https://id.example.test#top',
    'https://id.example.test/?',
    'ftp://id.example.test',
    'id.example.test',
  ])('[8414-2-1] %s is refused at start', (issuer) => {
    expect(() => parseConfig({ COUNTERSIGN_ISSUER: issuer })).toThrow(OperatorError)
  })

  test('[8414-2-1] without TLS is refused at start in production, except on this machine', () => {
    const start = (issuer: string) => parseConfig({ NODE_ENV: 'production', COUNTERSIGN_ISSUER: issuer })
    expect(() => start('http://id.example.test')).toThrow(OperatorError)
    expect(start('https://id.example.test').issuer).toBe('https://id.example.test')
    expect(start('http://localhost:8080').issuer).toBe('http://localhost:8080')
  })
})

describe('the location', () => {
  test('[8414-3-1] puts the well-known part before the path of the issuer', async () => {
    const { status, body } = await get(tenant, `${LOCATION}/t1`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      issuer: 'https://id.example.test/t1',
      token_endpoint: 'https://id.example.test/t1/oauth/token',
    })
  })

  test.each([LOCATION, `/t1${LOCATION}`, `${LOCATION}/t2`, `${LOCATION}/T1`, `${LOCATION}/t1/x`])(
    '[8414-3-1] of issuer …/t1 is not %s',
    async (path) => {
      expect((await get(tenant, path)).status).toBe(404)
    },
  )

  test('[8414-3-1] the endpoints are where the document says, below the path', async () => {
    expectRefusal(await tenant.post('/t1/oauth/token', {}), 400, 'invalid_request')
    expect((await tenant.post('/oauth/token', {})).status).toBe(404)
  })

  test('[8414-3-2] of OpenID Connect has the same document', async () => {
    const [ours, oidc] = [await get(server, LOCATION), await get(server, OIDC_LOCATION)]
    expect(oidc.status).toBe(200)
    expect(oidc.text).toBe(ours.text)
    const [oursBelow, oidcBelow] = [
      await get(tenant, `${LOCATION}/t1`),
      await get(tenant, `/t1${OIDC_LOCATION}`),
    ]
    expect(oidcBelow.text).toBe(oursBelow.text)
  })
})

describe.each([LOCATION, OIDC_LOCATION, JWKS])('%s', (path) => {
  test(`[8414-3-3] GET and HEAD of ${path} are answered 200 in JSON`, async () => {
    const answer = await get(server, path)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(
      path === JWKS ? /^application\/jwk-set\+json/ : /^application\/json/,
    )
    const head = await get(server, path, { method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, text: '' })
    expect(head.headers.get('content-length')).toBe(answer.headers.get('content-length'))
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    `[8414-3-3] %s of ${path} is refused with 405`,
    async (method) => {
      const answer = await get(server, path, { method })
      expectRefusal(answer, 405, 'invalid_request')
      expect(answer.headers.get('allow')).toBe('GET, HEAD')
    },
  )

  test(`[8414-3.3] a forged Host changes nothing in ${path}`, async () => {
    const forged = await getWithHost(server.url + path, {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example;proto=https',
    })
    expect(forged).toBe((await get(server, path)).text)
    expect(forged).not.toContain('evil')
  })

  test(`[8414-cache] ${path} may be cached and read from any origin`, async () => {
    const { headers } = await get(server, path, { headers: { origin: 'https://app.example' } })
    expect(headers.get('cache-control')).toMatch(/^public, max-age=\d+$/)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.has('access-control-allow-credentials')).toBe(false)
  })
})

test.each(['/oauth/token', '/oauth/introspect', '/api/v1/me', '/health/live'])(
  '[8414-cache] %s may be read from no other origin',
  async (path) => {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const { headers } = await get(server, path, {
        method,
        headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' },
      })
      expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
  },
)

/** fetch would not send another Host. */
function getWithHost(url: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        text += chunk
      })
      res.on('end', () => resolve(text))
    })
    sent.on('error', reject)
    sent.end()
  })
}
