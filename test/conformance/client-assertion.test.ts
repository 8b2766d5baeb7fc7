import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asClient, byAssertion, createCaller, type Signer } from '../support/client-assertions.ts'
import { createKeyPair, decode, signCompact } from '../support/jwt.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusal, expectRefusalFor, findLogLine } from './support.ts'

const DAY = 86_400

let server: TestServer
let fixture: Fixture
let other: Fixture
/** An access token to be asked about. */
let token: string

type Changes = Record<string, unknown>

/** Where an assertion authenticates: who signs, what is sent besides, and how a refusal looks there (D1). */
type Door = {
  signer: () => Signer
  /** Another one of its kind. */
  stranger: () => Signer
  send(assertion: string, form?: Record<string, string>): Promise<Answer>
  /** A good request without the assertion, through which headers can be forged. */
  path: string
  form: () => Record<string, string>
  status: 400 | 401
  accepted: Changes
}

let signers: { client: Signer; strangeClient: Signer; caller: Signer; strangeCaller: Signer }
const DOORS: Record<'the token endpoint' | 'introspection', Door> = {
  'the token endpoint': {
    signer: () => signers.client,
    stranger: () => signers.strangeClient,
    send: (assertion, form) =>
      server.post('/oauth/token', {
        grant_type: 'client_credentials',
        ...byAssertion(assertion),
        ...form,
      }),
    path: '/oauth/token',
    form: () => ({ grant_type: 'client_credentials' }),
    status: 400,
    accepted: { token_type: 'Bearer' },
  },
  introspection: {
    signer: () => signers.caller,
    stranger: () => signers.strangeCaller,
    send: (assertion, form) =>
      server.post('/oauth/introspect', { token, ...byAssertion(assertion), ...form }),
    path: '/oauth/introspect',
    form: () => ({ token }),
    status: 401,
    accepted: { active: true },
  },
}

beforeAll(async () => {
  server = await startTestServer()
  fixture = await server.createFixture()
  other = await server.createFixture({ algorithm: 'ES256' })
  token = await fixture.getToken()
  signers = {
    client: asClient(server, fixture),
    strangeClient: asClient(server, other),
    caller: await createCaller(server, fixture.resourceServer.id, { algorithm: 'RS256' }),
    strangeCaller: await createCaller(server, other.resourceServer.id),
  }
})
afterAll(() => server.close())

const now = () => Math.floor(server.clock.now() / 1000)

describe.each(Object.keys(DOORS) as (keyof typeof DOORS)[])('at %s', (name) => {
  const door = DOORS[name]
  const sign = (changes?: Changes, header?: Changes) => door.signer().assertion(changes, header)

  async function accepted(assertion: string | Promise<string>, form?: Record<string, string>): Promise<void> {
    const answer = await door.send(await assertion, form)
    expect(answer).toMatchObject({ status: 200, body: door.accepted })
  }

  /** Refused in both voices, and nothing is left. */
  async function refused(
    assertion: string | Promise<string>,
    reason: string,
    form?: Record<string, string>,
  ): Promise<Answer> {
    const jwt = await assertion
    const answer = await expectNothingIssued(server, () => door.send(jwt, form))
    await expectRefusalFor(server, answer, { status: door.status, error: 'invalid_client', reason })
    expect(answer.text).not.toContain(jwt.slice(0, 20))
    return answer
  }

  test(`[7523-2.2-1][bis-2][7521-6.2] the known-good client assertion is accepted at ${name}`, async () => {
    await accepted(sign())
  })

  test.each<[string, (one: string, second: string) => string]>([
    ['joined by a space', (one, second) => `${one} ${second}`],
    ['joined by a comma', (one, second) => `${one},${second}`],
    ['joined by a dot', (one, second) => `${one}.${second}`],
    ['in a JSON array', (one, second) => JSON.stringify([one, second])],
  ])(`[7523-2.2-2] two JWTs %s are refused at ${name}`, async (_what, join) => {
    await refused(join(await sign(), await sign()), 'assertion_malformed')
  })

  test(`[7523-2.2-2] client_assertion twice is a malformed request at ${name}`, async () => {
    const assertion = await sign()
    const answer = await server.post(door.path, [
      ...Object.entries({ ...door.form(), ...byAssertion(assertion) }),
      ['client_assertion', assertion],
    ])
    expectRefusal(answer, 400, 'invalid_request')
    await accepted(assertion)
  })

  describe('RFC 7521 §4.2, §5.2', () => {
    test(`[7521-4.2-1] a client_id of somebody else is refused at ${name}, and burns no jti`, async () => {
      const assertion = await sign()
      for (const clientId of [door.stranger().id, door.signer().keyId, door.signer().id.toUpperCase()])
        await refused(assertion, 'client_mismatch', { client_id: clientId })
      await accepted(assertion)
    })

    test(`[7521-4.2-2] client_id is optional at ${name}`, async () => {
      await accepted(sign())
      await accepted(sign(), { client_id: door.signer().id })
      await accepted(sign(), { client_id: '' })
    })

    test(`[7521-5.2-1][7521-5.2-2] issuer and subject are the client itself at ${name}`, async () => {
      const { id } = door.stranger()
      await refused(sign({ iss: id }), 'key_unknown')
      await refused(sign({ sub: id }), 'subject_not_allowed')
      await refused(sign({ iss: id, sub: id }), 'key_unknown')
    })
  })

  describe('RFC 7523 §3, 1 and 2: issuer and subject', () => {
    test.each<[string, unknown]>([
      ['absent', undefined],
      ['a number', 1],
      ['an array', ['x']],
      ['empty', ''],
      ['null', null],
    ])(
      `[7523-3.1a][7523-3.2-1] a client assertion whose iss is %s is refused at ${name}`,
      async (_what, iss) => {
        await refused(sign({ iss }), 'claim_malformed')
      },
    )

    test.each<[string, (id: string) => string]>([
      ['upper case', (id) => id.toUpperCase()],
      ['a trailing slash', (id) => `${id}/`],
      ['a trailing space', (id) => `${id} `],
      ['percent-encoding', (id) => id.replace('_', '%5F')],
    ])(`[7523-3.1b] the id with %s is another client at ${name}`, async (_what, spell) => {
      const spelt = spell(door.signer().id)
      await refused(sign({ iss: spelt, sub: spelt }), 'issuer_unknown')
      await refused(sign({ sub: spelt }), 'subject_not_allowed')
    })

    test(`[7523-3.1c] an unknown client and a bad signature are told alike at ${name}`, async () => {
      const { id } = door.signer()
      const unknown = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`
      const answers = [
        await refused(sign({ iss: unknown, sub: unknown }), 'issuer_unknown'),
        await refused(sign({}, { kid: 'key_none' }), 'key_unknown'),
        await refused(`${(await sign()).slice(0, -9)}AAAAAAAAA`, 'signature_invalid'),
      ]
      expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
      expect(new Set(answers.map(({ headers }) => [...headers.keys()].sort().join())).size).toBe(1)
    })

    test(`[7523-3.1d] the key of another one never speaks for this one at ${name}`, async () => {
      const { keyId, keyPair } = door.stranger()
      const byStranger = (kid: string | undefined) =>
        signCompact(
          { alg: keyPair.algorithm, ...(kid === undefined ? {} : { kid }) },
          door.signer().claims(),
          keyPair.privateKey,
        )
      await refused(byStranger(keyId), 'key_unknown')
      await refused(byStranger(door.signer().keyId), 'algorithm_mismatch')
      await refused(byStranger(undefined), 'algorithm_mismatch')
      expect((await door.send(await door.stranger().assertion())).status).toBe(200)
    })

    test.each<[string, unknown]>([
      ['absent', undefined],
      ['a number', 1],
      ['null', null],
      ['an array', ['x']],
    ])(`[7523-3.2a] a client assertion whose sub is %s is refused at ${name}`, async (_what, sub) => {
      await refused(sign({ sub }), 'claim_malformed')
    })

    test.each<[string, () => string]>([
      ['another client', () => door.stranger().id],
      ['an end user', () => 'user-1'],
      ['this server', () => server.issuer],
      ['nobody', () => ''],
    ])(`[7523-3.2b] %s is no subject of a client assertion at ${name}`, async (_who, sub) => {
      await refused(sign({ sub: sub() }), 'subject_not_allowed')
    })
  })

  describe('RFC 7523 §3, 3, and draft-ietf-oauth-rfc7523bis: the audience', () => {
    test.each<[string, unknown]>([
      ['absent', undefined],
      ['an empty array', []],
      ['null', null],
      ['an object', {}],
      ['a nested array', [['x']]],
    ])(`[7523-3.3a] a client assertion whose aud is %s is refused at ${name}`, async (_what, aud) => {
      await refused(sign({ aud }), 'audience_mismatch')
    })

    test.each<[string, (issuer: string) => string]>([
      ['our token endpoint', (issuer) => `${issuer}/oauth/token`],
      ['our introspection endpoint', (issuer) => `${issuer}/oauth/introspect`],
      ['our revocation endpoint', (issuer) => `${issuer}/oauth/revoke`],
      ['our JWKS', (issuer) => `${issuer}/.well-known/jwks.json`],
      ['our management API', (issuer) => `${issuer}/api/v1`],
      ['another server', () => 'https://id.example.org'],
      ['the token endpoint of another server', () => 'https://id.example.org/oauth/token'],
    ])(`[7523-3.3b][bis-3][bis-7] a client assertion for %s is refused at ${name}`, async (_whom, aud) => {
      await refused(sign({ aud: aud(server.issuer) }), 'audience_mismatch')
      await refused(sign({ aud: [aud(server.issuer)] }), 'audience_mismatch')
    })

    test.each<[string, (url: string) => string]>([
      ['the scheme in upper case', (url) => url.replace('http:', 'HTTP:')],
      ['the other scheme', (url) => url.replace('http:', 'https:')],
      ['a trailing slash', (url) => `${url}/`],
      ['the host by its other name', (url) => url.replace('127.0.0.1', 'localhost')],
      ['percent-encoding', (url) => url.replace('127', '%31%32%37')],
      ['a fragment', (url) => `${url}#`],
      ['a space around it', (url) => ` ${url} `],
    ])(`[7523-3.3c] the issuer with %s is another audience at ${name}`, async (_what, spell) => {
      await refused(sign({ aud: spell(server.issuer) }), 'audience_mismatch')
    })

    test(`[7523-3.3d] no header of a request changes the audience that is expected at ${name}`, async () => {
      const assertion = await sign({ aud: 'http://evil.example' })
      const answer = await sendRaw(server, {
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          host: 'evil.example',
          'x-forwarded-host': 'evil.example',
        },
        body: new URLSearchParams({ ...door.form(), ...byAssertion(assertion) }).toString(),
        path: door.path,
      })
      await expectRefusalFor(server, answer, {
        status: door.status,
        error: 'invalid_client',
        reason: 'audience_mismatch',
      })
    })

    test(`[bis-5] an array of the issuer alone is the issuer at ${name}`, async () => {
      await accepted(sign({ aud: [server.issuer] }))
    })

    test.each<[string, (issuer: string) => unknown]>([
      ['the issuer and the token endpoint', (issuer) => [issuer, `${issuer}/oauth/token`]],
      ['the token endpoint and the issuer', (issuer) => [`${issuer}/oauth/token`, issuer]],
      ['the issuer and another server', (issuer) => [issuer, 'https://other.example']],
      ['the issuer twice', (issuer) => [issuer, issuer]],
      ['the issuer and a number', (issuer) => [1, issuer]],
    ])(`[bis-4][bis-6][7523-3.3g] %s in one aud are refused at ${name}`, async (_what, aud) => {
      await refused(sign({ aud: aud(server.issuer) }), 'audience_mismatch')
    })
  })

  describe('draft-ietf-oauth-rfc7523bis: the type', () => {
    test.each([
      'client-authentication+jwt',
      'application/client-authentication+jwt',
      'Client-Authentication+JWT',
      'APPLICATION/CLIENT-AUTHENTICATION+JWT',
    ])(`[bis-8] typ %s is understood at ${name}`, async (typ) => {
      await accepted(sign({}, { typ }))
    })

    test.each([undefined, 'JWT', 'jwt', 'application/jwt'])(
      `[bis-9] typ %s is accepted at ${name}, since most clients send no other`,
      async (typ) => {
        await accepted(sign({}, { typ }))
      },
    )

    test.each([
      'at+jwt',
      'dpop+jwt',
      'authorization-grant+jwt',
      'secevent+jwt',
      'token-introspection+jwt',
      'logout+jwt',
      'JOSE',
      '',
    ])(`[bis-10] typ %j is another kind of JWT at ${name}`, async (typ) => {
      await refused(sign({}, { typ }), 'assertion_type_unexpected')
    })
  })

  describe('RFC 7523 §3, 4 to 6: the times', () => {
    const at = (offsets: Record<string, number | undefined>) =>
      Object.fromEntries(
        Object.entries(offsets).map(([claim, offset]) => [
          claim,
          offset === undefined ? undefined : now() + offset,
        ]),
      )

    test.each<[string, unknown]>([
      ['absent', undefined],
      ['text', '123'],
      ['null', null],
      ['true', true],
    ])(`[7523-3.4a] a client assertion whose exp is %s is refused at ${name}`, async (_what, exp) => {
      await refused(sign({ exp }), 'claim_malformed')
    })

    test.each([
      ['accepted', -20],
      ['accepted', -29],
      ['refused', -30],
      ['refused', -31],
      ['refused', -300],
    ])(
      `[7523-3.4b] a client assertion is %s when its exp is %d s from now at ${name}`,
      async (verdict, exp) => {
        const assertion = sign(at({ iat: -600, exp }))
        if (verdict === 'accepted') await accepted(assertion)
        else await refused(assertion, 'assertion_expired')
      },
    )

    test(`[7523-3.4d][7523-3.4e][7523-3.6a] a client assertion lives an hour at most at ${name}, from iat and from now`, async () => {
      await accepted(sign(at({ exp: 3600 })))
      await refused(sign(at({ exp: 3631 })), 'assertion_lifetime_too_long')
      await refused(sign(at({ iat: undefined, exp: 3631 })), 'assertion_lifetime_too_long')
      await refused(sign(at({ exp: 10 * 365 * DAY })), 'assertion_lifetime_too_long')
      await refused(sign(at({ iat: -3000, exp: 3500 })), 'assertion_lifetime_too_long')
      await refused(sign(at({ iat: -2 * DAY, exp: 60 })), 'assertion_lifetime_too_long')
      await refused(sign({ exp: 1e308 }), 'claim_malformed')
    })

    test(`[7523-3.5][7523-3.6b] nbf and iat are honoured at ${name}, within the skew`, async () => {
      for (const claim of ['nbf', 'iat']) {
        await accepted(sign(at({ [claim]: 8 })))
        await refused(sign(at({ [claim]: 61, exp: 90 })), 'assertion_not_yet_valid')
        await refused(sign({ [claim]: 'x' }), 'claim_malformed')
      }
    })

    test(`[7523-3.6c] iat may be absent at ${name}`, async () => {
      await accepted(sign({ iat: undefined }))
    })
  })

  describe('RFC 7523 §3, 7: the jti', () => {
    test(`[7523-3.7g] a client assertion without jti is refused at ${name}`, async () => {
      await refused(sign({ jti: undefined }), 'jti_required')
    })

    test.each<[string, unknown]>([
      ['a number', 1],
      ['empty', ''],
      ['null', null],
      ['256 characters long', 'j'.repeat(256)],
      ['10 kB long', 'j'.repeat(10_000)],
    ])(`[7523-3.7e] a client assertion whose jti is %s is refused at ${name}`, async (_what, jti) => {
      await refused(sign({ jti }), 'claim_malformed')
    })

    test.each<[string, string]>([
      ['of 255 characters', 'j'.repeat(255)],
      ['with quotes and a semicolon', "'); drop table used_jtis; --"],
      ['outside ASCII', '🔑'.repeat(100)],
    ])(`[7523-3.7e] a jti %s counts once, exactly as it is written, at ${name}`, async (_what, jti) => {
      const claims = door.signer().claims({ jti })
      await accepted(sign(claims))
      await refused(sign(claims), 'assertion_replayed')
      await accepted(sign({ ...claims, jti: jti.slice(0, -2) }))
    })

    test(`[7523-3.7a] a second use is refused at ${name}, also under another signature, kid and type`, async () => {
      const claims = door.signer().claims()
      const assertion = await sign(claims)
      await accepted(assertion)
      await refused(assertion, 'assertion_replayed')
      await refused(sign(claims, { kid: undefined }), 'assertion_replayed')
      await refused(sign(claims, { typ: 'JWT' }), 'assertion_replayed')
      await refused(sign({ ...claims, aud: [server.issuer] }), 'assertion_replayed')
    })

    test(`[7523-3.7b] of 20 uses at once exactly one is accepted at ${name}`, async () => {
      const assertion = await sign()
      const answers = await Promise.all(Array.from({ length: 20 }, () => door.send(assertion)))
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
      for (const answer of answers) {
        if (answer.status !== 200) expectRefusal(answer, door.status, 'invalid_client')
      }
    })

    test(`[7523-3.7c] clients do not burn each other’s jti at ${name}`, async () => {
      const jti = crypto.randomUUID()
      await accepted(sign({ jti }))
      expect((await door.send(await door.stranger().assertion({ jti }))).status).toBe(200)
    })

    test(`[7523-3.7d] nothing that is refused burns a jti at ${name}`, async () => {
      const claims = door.signer().claims()
      const good = await sign(claims)
      await refused(`${good.slice(0, -10)}${'A'.repeat(10)}`, 'signature_invalid')
      await refused(sign(claims, { kid: 'key_none' }), 'key_unknown')
      await refused(sign(claims, { typ: 'at+jwt' }), 'assertion_type_unexpected')
      await refused(sign({ ...claims, aud: 'https://evil' }), 'audience_mismatch')
      await refused(sign({ ...claims, sub: 'someone' }), 'subject_not_allowed')
      await refused(sign({ ...claims, iat: 1 }), 'assertion_lifetime_too_long')
      await accepted(good)
    })
  })

  describe('RFC 7523 §3, 8 to 10: other claims, the signature, the key', () => {
    test(`[7523-3.8] other claims are ignored at ${name}`, async () => {
      await accepted(sign({ foo: 1, prn: 'x', azp: 'x', scope: 1, client_id: 'x', act: { sub: 'x' } }))
    })

    test.each<[string, (good: string) => string, string]>([
      ['no signature', (good) => good.replace(/\.[^.]+$/, '.'), 'assertion_malformed'],
      ['no third part', (good) => good.replace(/\.[^.]+$/, ''), 'assertion_malformed'],
      ['half of the signature', (good) => good.slice(0, -170), 'signature_invalid'],
      [
        'a signature of zeros',
        (good) => good.replace(/\.[^.]+$/, `.${'A'.repeat(342)}`),
        'signature_invalid',
      ],
    ])(
      `[7523-3.9a][7523-3.10] a client assertion with %s is refused at ${name}`,
      async (_what, forge, reason) => {
        await refused(forge(await sign()), reason)
      },
    )

    test(`[7523-3.9c] without kid the one active key is tried at ${name}`, async () => {
      await accepted(sign({}, { kid: undefined }))
    })

    test(`[7523-3.9d] a wrong kid is refused at ${name}, although the key that signed is registered`, async () => {
      for (const kid of ['key_none', '', `${door.signer().keyId} `, door.signer().keyId.toUpperCase()])
        await refused(sign({}, { kid }), 'key_unknown')
    })

    test(`[7523-3.10] a client assertion of 64 kB is refused at ${name} before anything else`, async () => {
      await refused(sign({ padding: 'x'.repeat(65_536) }), 'assertion_too_large')
    })

    test(`[7523-3.1-3] the reason is coarse at ${name} before the signature holds, and names the fault after`, async () => {
      const told = async (assertion: string) => (await door.send(assertion)).body.error_description
      const coarse = await told(`${(await sign()).slice(0, -8)}AAAAAAAA`)
      expect(await told(`${(await sign({ aud: 'x' })).slice(0, -8)}AAAAAAAA`)).toBe(coarse)
      expect(coarse).toMatch(/client assertion/)
      expect(await told(await sign({ aud: server.tokenEndpoint }))).toMatch(/\baud\b.*issuer/)
      expect(await told(await sign({ iat: undefined, exp: 1 }))).toMatch(/expired/)
      expect(await told(await sign({ sub: 'x' }))).toMatch(/\bsub\b/)
      expect(await told(await sign({ jti: undefined }))).toMatch(/\bjti\b/)
    })
  })
})

describe('the state of an account and its key', () => {
  async function refusedAs(fixtureOfState: Fixture, reason: string): Promise<string> {
    const assertion = await asClient(server, fixtureOfState).assertion()
    const answer = await expectNothingIssued(server, () => DOORS['the token endpoint'].send(assertion))
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason })
    return answer.text
  }

  test('[7523-3.1c][7523-3.9b] disabled, deleted and closed clients are refused at once, and told alike', async () => {
    const [disabled, deleted, closed, withoutKey, withRevoked] = await Promise.all(
      Array.from({ length: 5 }, () => server.createFixture({ algorithm: 'ES256' })),
    )
    await must(server.api('PATCH', disabled!.accountPath, { status: 'disabled' }))
    await must(server.api('DELETE', deleted!.accountPath))
    await must(server.api('PATCH', `/organizations/${closed!.organizationId}`, { status: 'disabled' }))
    await must(
      server.api('PATCH', `${withoutKey!.accountPath}/keys/${withoutKey!.keyId}`, { status: 'disabled' }),
    )
    await must(server.api('DELETE', `${withRevoked!.accountPath}/keys/${withRevoked!.keyId}`))
    const texts = [
      await refusedAs(disabled!, 'account_inactive'),
      await refusedAs(deleted!, 'issuer_unknown'),
      await refusedAs(closed!, 'organization_inactive'),
      await refusedAs(withoutKey!, 'key_disabled'),
      await refusedAs(withRevoked!, 'key_revoked'),
    ]
    expect(new Set(texts).size).toBe(1)
  })

  test('[7523-3.9b] a key of a resource server that is disabled, deleted or has run out authenticates nobody from then on', async () => {
    const { send } = DOORS.introspection
    const refusedFor = async (caller: Signer, reason: string) => {
      for (const header of [{}, { kid: undefined }]) {
        const answer = await send(await caller.assertion({}, header))
        expectRefusal(answer, 401, 'invalid_client')
        if (!('kid' in header))
          await expectRefusalFor(server, answer, { status: 401, error: 'invalid_client', reason })
      }
    }
    const { id } = fixture.resourceServer
    const caller = await createCaller(server, id)
    expect((await send(await caller.assertion())).body.active).toBe(true)
    await must(server.api('PATCH', caller.path, { status: 'disabled' }))
    await refusedFor(caller, 'key_disabled')
    await must(server.api('PATCH', caller.path, { status: 'active' }))
    expect((await send(await caller.assertion())).body.active).toBe(true)
    await must(server.api('DELETE', caller.path))
    await refusedFor(caller, 'key_revoked')

    const expiresAt = new Date(server.clock.now() + 60_000).toISOString()
    const brief = await createCaller(server, id, { terms: { expires_at: expiresAt } })
    expect((await send(await brief.assertion())).body.active).toBe(true)
    server.clock.advance(61)
    await refusedFor(brief, 'key_expired')
  })

  test('[6749-2.3-2][7523-3.1d] accounts and resource servers authenticate at their own endpoint alone', async () => {
    const { client, caller } = signers
    const atToken = await DOORS['the token endpoint'].send(await caller.assertion())
    await expectRefusalFor(server, atToken, { error: 'invalid_client', reason: 'issuer_unknown' })
    const atIntrospection = await DOORS.introspection.send(await client.assertion())
    await expectRefusalFor(server, atIntrospection, {
      status: 401,
      error: 'invalid_client',
      reason: 'issuer_unknown',
    })
  })
})

describe('one set of jtis for grants and client assertions', () => {
  test('[7523-3.7c][7523-2.2-4] a JWT that served as grant is no client assertion any more, and the other way round', async () => {
    const { send } = DOORS['the token endpoint']
    const both = () => fixture.assertion({ aud: server.issuer })
    const first = await both()
    expect((await fixture.requestToken({ assertion: first })).status).toBe(200)
    const replayed = await expectNothingIssued(server, () => send(first))
    await expectRefusalFor(server, replayed, { error: 'invalid_client', reason: 'assertion_replayed' })

    const second = await both()
    expect((await send(second)).status).toBe(200)
    const again = await expectNothingIssued(server, () => fixture.requestToken({ assertion: second }))
    await expectRefusalFor(server, again, { error: 'invalid_grant', reason: 'assertion_replayed' })
  })

  test('[7523-3.7c] one JWT as grant and as client assertion in one request is one use too many', async () => {
    const assertion = await fixture.assertion({ aud: server.issuer })
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ assertion, form: byAssertion(assertion) }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'assertion_replayed' })
  })

  test('[7523-3.7c] an assertion that authenticated besides a grant cannot get a token of its own', async () => {
    const client = asClient(server, fixture)
    const assertion = await client.assertion()
    expect((await fixture.requestToken({ form: byAssertion(assertion) })).status).toBe(200)
    const answer = await expectNothingIssued(server, () => DOORS['the token endpoint'].send(assertion))
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'assertion_replayed' })
    const besides = await expectNothingIssued(server, () =>
      fixture.requestToken({ form: byAssertion(assertion) }),
    )
    await expectRefusalFor(server, besides, { error: 'invalid_client', reason: 'assertion_replayed' })
  })
})

describe('besides a grant', () => {
  test('[7523-2.2-3] a client assertion of the same account is fine, one of another account is not', async () => {
    const own = byAssertion(await asClient(server, fixture).assertion())
    expect((await fixture.requestToken({ form: own })).status).toBe(200)

    const assertion = await fixture.assertion()
    const foreign = await asClient(server, other).assertion()
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ assertion, form: byAssertion(foreign) }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_grant', reason: 'client_mismatch' })
    // Neither was used up by it.
    expect((await fixture.requestToken({ assertion })).status).toBe(200)
    expect((await DOORS['the token endpoint'].send(foreign)).status).toBe(200)
  })

  test('[7523-3.1-2] an invalid client assertion refuses a good grant, and burns no jti', async () => {
    const assertion = await fixture.assertion()
    const invalid = await asClient(server, fixture).assertion({ aud: server.tokenEndpoint })
    const answer = await expectNothingIssued(server, () =>
      fixture.requestToken({ assertion, form: byAssertion(invalid) }),
    )
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'audience_mismatch' })
    expect((await fixture.requestToken({ assertion })).status).toBe(200)
  })

  test('[7523-2.2-4] a grant assertion, addressed to the token endpoint or typed as one, is no client assertion', async () => {
    const { send } = DOORS['the token endpoint']
    for (const [assertion, reason] of [
      [await fixture.assertion(), 'audience_mismatch'],
      [
        await fixture.assertion({ aud: server.issuer }, { typ: 'authorization-grant+jwt' }),
        'assertion_type_unexpected',
      ],
    ] as const) {
      const answer = await expectNothingIssued(server, () => send(assertion))
      await expectRefusalFor(server, answer, { error: 'invalid_client', reason })
    }
  })
})

describe('the token', () => {
  test('[7521-6.2] client_credentials with a client assertion gives what the grant gives', async () => {
    const granted = decode((await fixture.requestToken()).body.access_token).claims
    const answer = await DOORS['the token endpoint'].send(await signers.client.assertion())
    const { claims } = decode(answer.body.access_token)
    expect(claims).toEqual({ ...granted, jti: claims.jti, iat: claims.iat, exp: claims.exp })
    expect(Object.keys(answer.body).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type'])
    const introspected = (await fixture.introspect(answer.body.access_token)).body
    expect(introspected).toMatchObject({ active: true, key_id: fixture.keyId })
  })

  test('[7521-6.2] it ends with the key that signed the client assertion', async () => {
    const pair = await createKeyPair('ES256')
    const path = `${fixture.accountPath}/keys`
    const { key } = await must(server.api('POST', path, { type: 'public_key', public_key: pair.publicJwk }))
    const claims = signers.client.claims()
    const assertion = await signCompact({ alg: 'ES256', kid: key.id }, claims, pair.privateKey)
    const answer = await DOORS['the token endpoint'].send(assertion)
    expect((await fixture.introspect(answer.body.access_token)).body.key_id).toBe(key.id)
    await must(server.api('DELETE', `${path}/${key.id}`))
    expect((await fixture.introspect(answer.body.access_token)).body).toEqual({ active: false })
  })
})

describe('the escape for clients that name the token endpoint', () => {
  const withPolicy = (clientAssertionAudience: string) =>
    server.createFixture({
      algorithm: 'ES256',
      assertionPolicy: { client_assertion_audience: clientAssertionAudience },
    })

  test('[bis-15] is off by default, and is shown where it is on', async () => {
    const account = await must(server.api('GET', fixture.accountPath))
    expect(account.assertion_policy.client_assertion_audience).toBe('issuer')
    const lax = await withPolicy('issuer_or_token_endpoint')
    expect((await must(server.api('GET', lax.accountPath))).assertion_policy).toMatchObject({
      client_assertion_audience: 'issuer_or_token_endpoint',
    })
    const { send } = DOORS['the token endpoint']
    const client = asClient(server, lax)
    expect(
      (await send(await client.assertion({ aud: server.tokenEndpoint }, { typ: undefined }))).status,
    ).toBe(200)
    await must(
      server.api('PATCH', lax.accountPath, { assertion_policy: { client_assertion_audience: 'issuer' } }),
    )
    const answer = await send(await client.assertion({ aud: server.tokenEndpoint }, { typ: undefined }))
    await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'audience_mismatch' })
  })

  test('[bis-15] takes the one or the other, still alone, and says in log and metric that it is deprecated', async () => {
    const client = asClient(server, await withPolicy('issuer_or_token_endpoint'))
    const { send } = DOORS['the token endpoint']
    const counted = async () =>
      /countersign_deprecated_requests_total\{what="client_assertion_audience"\} (\d+)/.exec(
        await server.metrics.registry.metrics(),
      )?.[1] ?? '0'
    const before = Number(await counted())
    const lax = await send(await client.assertion({ aud: server.tokenEndpoint }, { typ: 'JWT' }))
    expect(lax.status).toBe(200)
    expect((await findLogLine(server, lax)).deprecated).toBe('client_assertion_audience')
    expect(Number(await counted())).toBe(before + 1)

    const strict = await send(await client.assertion({}, { typ: 'JWT' }))
    expect(strict.status).toBe(200)
    expect((await findLogLine(server, strict)).deprecated).toBeUndefined()
    for (const aud of [[server.issuer, server.tokenEndpoint], `${server.issuer}/oauth/introspect`]) {
      const answer = await send(await client.assertion({ aud }, { typ: 'JWT' }))
      await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'audience_mismatch' })
    }
  })

  test.each(['client-authentication+jwt', 'application/Client-Authentication+JWT'])(
    '[bis-11] does not count for an assertion typed %s',
    async (typ) => {
      const client = asClient(server, await withPolicy('issuer_or_token_endpoint'))
      const assertion = await client.assertion({ aud: server.tokenEndpoint }, { typ })
      const answer = await expectNothingIssued(server, () => DOORS['the token endpoint'].send(assertion))
      await expectRefusalFor(server, answer, { error: 'invalid_client', reason: 'audience_mismatch' })
    },
  )
})

test.each(['urn:ietf:params:oauth:client-assertion-type:saml2-bearer', 'foo'])(
  '[bis-16] the client assertion type %s is not known',
  async (type) => {
    for (const door of Object.values(DOORS)) {
      const answer = await door.send(await door.signer().assertion(), { client_assertion_type: type })
      expectRefusal(answer, 400, 'invalid_request')
    }
  },
)

test('[bis-14] what a client signs for an attacker whose metadata names our token endpoint is refused', async () => {
  const evil = 'https://evil.example'
  const oauth = await import('oauth4webapi')
  const sent: string[] = []
  const answer = await oauth.clientCredentialsGrantRequest(
    { issuer: evil, token_endpoint: server.tokenEndpoint },
    { client_id: fixture.accountId },
    oauth.PrivateKeyJwt({ key: fixture.keyPair.privateKey, kid: fixture.keyId }),
    {},
    {
      [oauth.allowInsecureRequests]: true,
      [oauth.customFetch]: async (url, init) => {
        sent.push(String(init.body))
        return fetch(url, init as RequestInit)
      },
    },
  )
  expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, 'invalid_client'])
  const assertion = new URLSearchParams(sent[0]).get('client_assertion') ?? ''
  expect(decode(assertion).claims.aud).toBe(evil)
})
