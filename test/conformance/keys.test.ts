import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { createKeyPair, decode, signCompact } from '../support/jwt.ts'
import { createClient, createOrganization, expectProblem } from '../support/management.ts'
import {
  type Answer,
  type Fixture,
  must,
  startTestServer,
  type TestServer,
  toAnswer,
} from '../support/server.ts'

let server: TestServer
let fixture: Fixture
beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
})
afterAll(() => server.close())

/** Registers a key with an account of its own, so that only the key can be what is refused. */
async function register(public_key: unknown, terms: object = {}): Promise<Answer> {
  const accounts = `/organizations/${fixture.organizationId}/service-accounts`
  const { id } = await must(server.api('POST', accounts, { name: 'holder' }))
  return server.api('POST', `${accounts}/${id}/keys`, { type: 'public_key', public_key, ...terms })
}

async function countKeys(): Promise<number> {
  const { rows } = await server.connection.pool.query('select count(*)::int as count from keys')
  return rows[0].count
}

const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
const spki = (key: { export(options: { type: 'spki'; format: 'pem' }): string | Buffer }) =>
  key.export({ type: 'spki', format: 'pem' }).toString()

describe('the server’s own keys', () => {
  const readJwks = async () => toAnswer(await fetch(`${server.issuer}/.well-known/jwks.json`))

  test('[7517-5-1] are a JWK Set, as clients ask for it', async () => {
    const response = await readJwks()
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/(jwk-set\+)?json(;|$)/)
    expect(Array.isArray(response.body.keys)).toBe(true)
  })

  test('[7517-5-2] are shown without private members', async () => {
    const { keys } = (await readJwks()).body
    for (const key of keys)
      for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) expect(key).not.toHaveProperty(name)
  })

  test('[7517-4.5][7517-4.2] each have a kid of their own, a use and an algorithm; every token names one', async () => {
    const { keys } = (await readJwks()).body
    const kids = keys.map((key: { kid: string }) => key.kid)
    expect(new Set(kids).size).toBe(keys.length)
    for (const key of keys) expect(key).toMatchObject({ use: 'sig', alg: expect.any(String) })
    expect(kids).toContain(decode(await fixture.getToken()).header.kid)
  })
})

describe('which key material is taken', () => {
  test.each([1024, 2047])('[7518-3.3] RSA of %i bits is refused and not stored', async (bits) => {
    const before = await countKeys()
    const { publicKey } = rsa(bits)
    for (const form of [spki(publicKey), publicKey.export({ format: 'jwk' })])
      expectProblem(await register(form), 422, 'input_invalid')
    expect(await countKeys()).toBe(before)
  })

  test('[7518-6.3.1] a leading zero octet in n is another spelling of the same key, not another key', async () => {
    const jwk = rsa(2048).publicKey.export({ format: 'jwk' })
    const padded = Buffer.concat([Buffer.alloc(1), Buffer.from(jwk.n ?? '', 'base64url')]).toString(
      'base64url',
    )
    const { key } = await must(register({ ...jwk, n: padded }))
    expect(key.public_key.n).toBe(jwk.n)
    expect(key.thumbprint).toBe(await calculateJwkThumbprint(jwk as JWK))
    expectProblem(await register(jwk), 409, 'key_material_taken')
  })

  test('[7518-6.3.2] a private key is refused in every form, said to be compromised, and not logged', async () => {
    const { privateKey } = rsa(2048)
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const before = await countKeys()
    for (const form of [
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
      ec.export({ type: 'sec1', format: 'pem' }).toString(),
      privateKey.export({ format: 'jwk' }),
      JSON.stringify(ec.export({ format: 'jwk' })),
    ]) {
      const answer = await register(form)
      expectProblem(answer, 422, 'private_key_given')
      expect(answer.body.detail).toMatch(/compromised/)
    }
    expect(await countKeys()).toBe(before)
    const d = privateKey.export({ format: 'jwk' }).d ?? 'none'
    expect(JSON.stringify(server.logs())).not.toContain(d)
  })

  test('[7518-keyform] SPKI, PKCS#1, a certificate and a JWK are taken, with CRLF and text around', async () => {
    const certified = rsa(2048).privateKey
    const der = await selfSignedCertificate(certified, {
      commonName: 'x',
      notBefore: new Date(0),
      notAfter: new Date(1000),
    })
    for (const form of [
      spki(rsa(2048).publicKey),
      rsa(2048).publicKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
      new X509Certificate(der).toString(),
      rsa(2048).publicKey.export({ format: 'jwk' }),
      `our key:\r\n${spki(rsa(2048).publicKey).replaceAll('\n', '\r\n')}the end`,
      spki(generateKeyPairSync('ed25519').publicKey),
      spki(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey),
    ])
      expect((await register(form)).status).toBe(201)
  })

  test('[7518-keyform] two PEM blocks and a key restricted to RSASSA-PSS are refused', async () => {
    const two = spki(rsa(2048).publicKey) + spki(rsa(2048).publicKey)
    expectProblem(await register(two), 422, 'input_invalid')
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey
    expectProblem(await register(spki(pss)), 422, 'input_invalid')
  })
})

describe('thumbprint and kid', () => {
  test('[7638-3-1] the example of RFC 7638 has the thumbprint of RFC 7638', async () => {
    const { key } = await must(
      register({
        kty: 'RSA',
        n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
        e: 'AQAB',
        alg: 'RS256',
        kid: '2011-04-29',
      }),
    )
    expect(key).toMatchObject({
      thumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
      kid: '2011-04-29',
    })
  })

  test('[7638-3-2] without a kid the thumbprint is the kid; a chosen one is short, plain and unique', async () => {
    const { publicJwk } = await createKeyPair('ES256')
    const { key } = await must(register(publicJwk))
    expect(key.kid).toBe(key.thumbprint)
    for (const kid of ['', 'a b', 'ä', 'x'.repeat(129), 'key_mine', 7]) {
      const { publicJwk: other } = await createKeyPair('ES256')
      expectProblem(await register({ ...other, kid }), 422, 'input_invalid')
    }
    const [one, other] = [await createKeyPair('ES256'), await createKeyPair('ES256')]
    const add = (jwk: JWK) =>
      server.api('POST', `${fixture.accountPath}/keys`, {
        type: 'public_key',
        public_key: { ...jwk, kid: 'k.1_A-' },
      })
    expect((await add(one.publicJwk)).body.key.kid).toBe('k.1_A-')
    expectProblem(await add(other.publicJwk), 409, 'kid_taken')
    expect((await register({ ...other.publicJwk, kid: 'k.1_A-' })).status).toBe(201)
  })

  test('[7638-3.2.1] a client that computes it from the private half gets the same', async () => {
    const pair = await generateKeyPair('ES256', { extractable: true })
    const { key } = await must(register(await exportJWK(pair.publicKey)))
    expect(key.thumbprint).toBe(await calculateJwkThumbprint(await exportJWK(pair.privateKey)))
  })
})

describe('keys and accounts', () => {
  test('[key-dup] material that any account has or had is refused, with one answer for all', async () => {
    const { publicJwk } = await createKeyPair('ES256')
    const keys = `${fixture.accountPath}/keys`
    const body = { type: 'public_key', public_key: publicJwk }
    const { key } = await must(server.api('POST', keys, body))
    expectProblem(await server.api('POST', keys, body), 409, 'key_material_taken')
    expectProblem(await register(publicJwk), 409, 'key_material_taken')
    await must(server.api('DELETE', `${keys}/${key.id}`))
    expectProblem(await server.api('POST', keys, body), 409, 'key_material_taken')
  })

  test.each(['json', 'pem'])(
    '[key-gen] a generated pair is handed over once, as %s, and never kept',
    async (format) => {
      const account = await must(
        server.api('POST', `/organizations/${fixture.organizationId}/service-accounts`, {
          name: 'generated',
        }),
      )
      const keys = `/organizations/${fixture.organizationId}/service-accounts/${account.id}/keys`
      const created = await server.api('POST', keys, { type: 'rsa', format })
      expect(created.headers.get('cache-control')).toBe('no-store')
      const pem = created.body.private_key ?? created.body.key_file.private_key
      expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
      const jwk = createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' })
      expect(created.body.key.public_key).toEqual(jwk)

      const d = createPrivateKey(pem).export({ format: 'jwk' }).d ?? 'none'
      const { rows } = await server.connection.pool.query('select k::text as text from keys k')
      const later = await server.api('GET', `${keys}/${created.body.key.id}`)
      for (const text of [later.text, JSON.stringify(rows), JSON.stringify(server.logs())]) {
        expect(text).not.toContain(d)
        expect(text).not.toContain(pem.slice(40, 90))
      }
    },
  )

  test('[key-limit] one key more than the organization allows is refused', async () => {
    const { id } = await createOrganization(server)
    const accounts = `/organizations/${id}/service-accounts`
    const path = `${accounts}/${(await must(server.api('POST', accounts, { name: 'x' }))).id}/keys`
    const add = async () =>
      server.api('POST', path, { type: 'public_key', public_key: (await createKeyPair('ES256')).publicJwk })
    for (let count = 0; count < 10; count++) expect((await add()).status).toBe(201)
    expectProblem(await add(), 409, 'key_limit_reached')
  })

  test('[key-life] not_before and expires_at are honoured on both sides', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    const pair = await createKeyPair('ES256')
    const at = (seconds: number) => new Date(server.clock.now() + seconds * 1000).toISOString()
    const { key } = await must(
      server.api('POST', `${own.accountPath}/keys`, {
        type: 'public_key',
        public_key: pair.publicJwk,
        not_before: at(100),
        expires_at: at(400),
      }),
    )
    const ask = async () => {
      const assertion = await signCompact({ alg: 'ES256', kid: key.id }, own.claims(), pair.privateKey)
      return (await own.requestToken({ assertion })).status
    }
    expect(await ask()).toBe(400)
    server.clock.advance(200)
    expect(await ask()).toBe(200)
    server.clock.advance(250)
    expect(await ask()).toBe(400)
  })

  test('[key-delete] a deleted or disabled key gets nothing, and its tokens end with it', async () => {
    for (const end of ['DELETE', 'PATCH']) {
      const own = await server.createFixture({ algorithm: 'ES256' })
      const token = await own.getToken()
      const body = end === 'PATCH' ? { status: 'disabled' } : undefined
      expect((await server.api(end, `${own.accountPath}/keys/${own.keyId}`, body)).status).toBeLessThan(300)
      expect((await own.requestToken()).body.error).toBe('invalid_grant')
      expect((await own.introspect(token)).body).toEqual({ active: false })
    }
  })

  test('[key-last] an account without keys can do nothing, with whatever else it tries', async () => {
    const own = await server.createFixture({ algorithm: 'ES256' })
    await must(server.api('DELETE', `${own.accountPath}/keys/${own.keyId}`))
    expect((await own.requestToken()).status).toBe(400)
    const grants = [
      { grant_type: 'client_credentials', client_id: own.accountId },
      { grant_type: 'client_credentials', client_id: own.accountId, client_secret: '' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_id: own.accountId },
    ] as Record<string, string>[]
    for (const form of grants) expect((await server.post('/oauth/token', form)).status).toBe(400)
  })

  test('[key-authz] an account without the permission cannot touch keys, not even its own', async () => {
    const { id } = await createOrganization(server)
    const client = await createClient(server, { organizationId: id, permissions: ['audit:read'] })
    expectProblem(await client.call('GET', `${client.accountPath}/keys`), 403, 'permission_missing')
    expectProblem(
      await client.call('POST', `${client.accountPath}/keys`, { type: 'rsa' }),
      403,
      'permission_missing',
    )
    const stranger = await server.createFixture({ algorithm: 'ES256' })
    const wrong = { authorization: `Bearer ${await stranger.getToken()}` }
    const response = await fetch(`${server.url}/api/v1${client.accountPath}/keys`, { headers: wrong })
    expect(response.status).toBe(401)
  })
})
