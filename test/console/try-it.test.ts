import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { findLogLine } from '../conformance/support.ts'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { eventually } from '../support/eventually.ts'
import { createKeyPair, signCompact } from '../support/jwt.ts'
import { builtInRoleId, managementServerId } from '../support/management.ts'
import { type Answer, type Fixture, must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator } from '../support/sign-in.ts'

let server: TestServer
let own: Fixture
let foreign: Fixture
let slug: string
let client: ConsoleClient
let browser: Browser
let person: Person
beforeAll(async () => {
  server = await startTestServer()
  own = await server.createFixture({ algorithm: 'ES256' })
  foreign = await server.createFixture({ algorithm: 'ES256' })
  slug = (await must(server.api('GET', `/organizations/${own.organizationId}`))).slug
  const owner = await createAdministrator(server, own.organizationId, {
    role_ids: [await builtInRoleId(server, 'owner')],
    groups_administrator: 'manager',
  })
  client = await createConsoleClient(server, owner)
  browser = await launchChromium()
  person = await createPerson(browser, server)
  await person.signIn(owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

type Kind = 'grant' | 'client'
type Parameters = { scope?: string; resource?: string }

/** What the page says: its verdict, and the first check that fails. `none` for no refusal. */
async function tryIt(assertion: string, kind: Kind = 'grant', parameters: Parameters = {}, who = client) {
  const answer = await who.post(`/organizations/${slug}/try-it`, { assertion, kind, ...parameters })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.text).not.toContain(assertion)
  const verdict = /This would be refused: <code>(\w+)</.exec(answer.text)?.[1] ?? 'none'
  const first = /class="check fails">[\s\S]*?check-reason"><code>(\w+)</.exec(answer.text)?.[1] ?? 'none'
  expect(answer.text.includes('This would get a token')).toBe(verdict === 'none')
  return { verdict, first, text: answer.text }
}

/** What the token endpoint does with the same, and why, by its log. */
async function send(assertion: string, kind: Kind, parameters: Parameters) {
  const answer = await server.post('/oauth/token', toForm(assertion, kind, parameters))
  const reason = answer.status === 200 ? 'none' : (await findLogLine(server, answer)).reason
  return { answer, reason }
}

function toForm(assertion: string, kind: Kind, parameters: Parameters): Record<string, string> {
  if (kind === 'grant')
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion, ...parameters }
  return {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...parameters,
  }
}

async function expectAgreement(expected: string, assertion: string, kind: Kind, parameters: Parameters = {}) {
  const told = await tryIt(assertion, kind, parameters)
  const { answer, reason } = await send(assertion, kind, parameters)
  const { verdict, first } = told
  expect({ verdict, first }).toEqual({ verdict: expected, first: expected })
  expect(reason).toBe(expected)
  // What the page says that the caller hears is what the caller has heard.
  if (answer.status === 200) return
  expect(told.text).toContain(`<code>${answer.status} ${answer.body.error}</code>`)
}

const seconds = () => Math.floor(server.clock.now() / 1000)

/** Every claim and header at fault, alone. */
const FAULTS: [reason: string, changes: () => Record<string, unknown>, header?: Record<string, unknown>][] = [
  ['assertion_type_unexpected', () => ({}), { typ: 'at+jwt' }],
  ['claim_malformed', () => ({ iss: undefined })],
  ['claim_malformed', () => ({ iss: '' })],
  ['claim_malformed', () => ({ iss: 1 })],
  ['issuer_unknown', () => ({ iss: `acc_${'0'.repeat(36)}` })],
  ['issuer_unknown', () => ({ iss: 'nobody@nowhere.example' })],
  ['key_unknown', () => ({}), { kid: 'another' }],
  ['algorithm_mismatch', () => ({}), { alg: 'EdDSA' }],
  ['claim_malformed', () => ({ sub: undefined })],
  ['claim_malformed', () => ({ sub: 1 })],
  ['subject_not_allowed', () => ({ sub: 'somebody' })],
  ['audience_mismatch', () => ({ aud: undefined })],
  ['audience_mismatch', () => ({ aud: 'https://elsewhere.example' })],
  ['audience_mismatch', () => ({ aud: [server.issuer, 'https://elsewhere.example'] })],
  ['claim_malformed', () => ({ exp: undefined })],
  ['claim_malformed', () => ({ exp: 'soon' })],
  ['claim_malformed', () => ({ exp: 1e300 })],
  ['assertion_expired', () => ({ exp: seconds() - 30 })],
  ['assertion_not_yet_valid', () => ({ nbf: seconds() + 40 })],
  ['claim_malformed', () => ({ nbf: 'x' })],
  ['assertion_not_yet_valid', () => ({ iat: seconds() + 40 })],
  ['claim_malformed', () => ({ iat: null })],
  ['assertion_lifetime_too_long', () => ({ exp: seconds() + 4000 })],
  ['assertion_lifetime_too_long', () => ({ iat: undefined, exp: seconds() + 4000 })],
  ['claim_malformed', () => ({ jti: 1 })],
  ['claim_malformed', () => ({ jti: 'x'.repeat(300) })],
]

/** Signs by a key of its own kind whatever the header says. */
async function sign(
  fixture: Fixture,
  changes: Record<string, unknown>,
  header: Record<string, unknown> = {},
) {
  const { alg, ...rest } = header
  const assertion = await fixture.assertion({ aud: server.issuer, ...changes }, rest)
  if (alg === undefined) return assertion
  const [, claims, signature] = assertion.split('.')
  const text = JSON.stringify({ alg, kid: fixture.keyId, ...rest })
  return `${Buffer.from(text).toString('base64url')}.${claims}.${signature}`
}

describe.each<Kind>(['grant', 'client'])('as %s, page and token endpoint agree', (kind) => {
  test('on an assertion that holds', async () => {
    await expectAgreement('none', await sign(own, {}), kind)
    await expectAgreement('none', await sign(own, { iss: own.accountEmail, sub: own.accountEmail }), kind)
    await expectAgreement('none', await sign(own, {}, { kid: undefined }), kind)
  })

  test.each(FAULTS.map(([reason, ...rest], index) => [reason, index, rest] as const))(
    'on %s (%d)',
    async (reason, _index, [changes, header]) => {
      await expectAgreement(reason, await sign(own, changes(), header), kind)
    },
  )

  test.each([
    ['assertion_too_large', 'a'.repeat(16_385)],
    ['assertion_malformed', 'abc'],
    ['assertion_malformed', 'e30.e30.e31'],
    ['assertion_malformed', 'e30.e30.e30.e30'],
    ['assertion_malformed', '{"payload":""}'],
  ])('on %s', async (reason, assertion) => {
    await expectAgreement(reason, assertion, kind)
  })

  test('on any two faults at once, the first one', async () => {
    for (const [index, [, one, header]] of FAULTS.entries()) {
      const [, other, otherHeader] = FAULTS[(index * 7 + 11) % FAULTS.length]!
      const assertion = await sign(own, { ...one(), ...other() }, { ...header, ...otherHeader })
      const { verdict, first } = await tryIt(assertion, kind)
      const { reason } = await send(assertion, kind, {})
      expect({ index, verdict, first }).toEqual({ index, verdict: reason, first: reason })
    }
  })

  test('on the state of the key and of the account', async () => {
    const fixture = await server.createFixture({ algorithm: 'ES256', organizationId: own.organizationId })
    const key = `${fixture.accountPath}/keys/${fixture.keyId}`
    await must(server.api('PATCH', key, { status: 'disabled' }))
    await expectAgreement('key_disabled', await sign(fixture, {}), kind)
    await expectAgreement('key_unknown', await sign(fixture, {}, { kid: undefined }), kind)
    await must(
      server.api('PATCH', key, {
        status: 'active',
        expires_at: new Date(server.clock.now() + 60_000).toISOString(),
      }),
    )
    server.clock.advance(120)
    await expectAgreement('key_expired', await sign(fixture, {}), kind)
    await must(server.api('DELETE', key))
    await expectAgreement('key_revoked', await sign(fixture, {}), kind)
    await must(server.api('PATCH', fixture.accountPath, { status: 'disabled' }))
    await expectAgreement('account_inactive', await sign(fixture, {}), kind)
  })

  test('on a signature of another key, and on one whose claims were changed', async () => {
    const claims = own.claims({ aud: server.issuer })
    const { privateKey } = foreign.keyPair
    await expectAgreement(
      'signature_invalid',
      await signCompact({ alg: 'ES256', kid: own.keyId }, claims, privateKey),
      kind,
    )
    const [header, , signature] = (await sign(own, {})).split('.')
    const changed = Buffer.from(JSON.stringify(claims)).toString('base64url')
    await expectAgreement('signature_invalid', `${header}.${changed}.${signature}`, kind)
  })

  test('on a second use, and looking is none', async () => {
    const assertion = await sign(own, {})
    expect((await tryIt(assertion, kind)).verdict).toBe('none')
    await expectAgreement('none', assertion, kind)
    await expectAgreement('assertion_replayed', assertion, kind)
    const { text } = await tryIt(assertion, kind)
    expect(text).toMatch(/token <code>tok_\w+</)
  })

  test('on what is asked for', async () => {
    const { identifier } = own.resourceServer
    const cases: [string, Parameters][] = [
      ['none', { scope: 'read' }],
      ['none', { scope: 'write read', resource: identifier }],
      ['scope_malformed', { scope: 'a  b' }],
      ['scope_not_granted', { scope: 'admin' }],
      ['scope_not_granted', { scope: 'groups' }],
      ['target_malformed', { resource: 'nowhere' }],
      ['target_not_allowed', { resource: foreign.resourceServer.identifier }],
    ]
    for (const [reason, parameters] of cases)
      await expectAgreement(reason, await sign(own, {}), kind, parameters)
    const twofold = await server.createFixture({ algorithm: 'ES256', organizationId: own.organizationId })
    await must(
      server.api('PATCH', twofold.accountPath, {
        permissions: [own, twofold].map(({ resourceServer }) => ({
          resource_server_id: resourceServer.id,
          permission: 'read',
        })),
      }),
    )
    await expectAgreement('target_ambiguous', await sign(twofold, {}), kind)
  })

  test('on a proof that the account’s policy wants, and on its limit', async () => {
    const bound = await server.createFixture({
      algorithm: 'ES256',
      organizationId: own.organizationId,
      assertionPolicy: { require_dpop: true },
    })
    await expectAgreement('proof_required', await sign(bound, {}), kind)
    const limited = await server.createFixture({ algorithm: 'ES256', organizationId: own.organizationId })
    await must(server.api('PATCH', limited.accountPath, { token_requests_per_minute: 1 }))
    const used = await sign(limited, {})
    await expectAgreement('none', used, kind)
    await expectAgreement('token_limit_reached', await sign(limited, {}), kind)
    await expectAgreement('token_limit_reached', used, kind)
  })
})

test('as a grant: token endpoint as audience, scope as a ceiling, and a jti that policy wants', async () => {
  await expectAgreement('none', await sign(own, { aud: server.tokenEndpoint }), 'grant')
  await expectAgreement('none', await sign(own, { jti: undefined }), 'grant')
  await expectAgreement('none', await sign(own, { scope: 'read' }), 'grant')
  await expectAgreement('claim_malformed', await sign(own, { scope: ['read'] }), 'grant')
  await expectAgreement('scope_not_granted', await sign(own, { scope: 'read' }), 'grant', { scope: 'write' })
  const strict = await server.createFixture({
    algorithm: 'ES256',
    organizationId: own.organizationId,
    assertionPolicy: { require_jti: true },
  })
  await expectAgreement('jti_required', await sign(strict, { jti: undefined }), 'grant')
})

test('as a client assertion: the issuer alone as audience, and always a jti', async () => {
  await expectAgreement('audience_mismatch', await sign(own, { aud: server.tokenEndpoint }), 'client')
  await expectAgreement('jti_required', await sign(own, { jti: undefined }), 'client')
  const typed = await sign(own, { aud: server.tokenEndpoint }, { typ: 'client-authentication+jwt' })
  const path = `/organizations/${slug}/try-it`
  const { text } = await client.post(path, { assertion: typed, kind: 'typ' })
  expect(text).toContain('client assertion')
  expect(text).toContain('This would be refused: <code>audience_mismatch</code>')
})

test('checks after the first that fails are made as well', async () => {
  const other = await createKeyPair('ES256')
  const assertion = await signCompact(
    { alg: 'ES256', kid: own.keyId },
    own.claims({ aud: 'https://elsewhere.example', exp: seconds() - 100, scope: 'admin' }),
    other.privateKey,
  )
  const { text } = await tryIt(assertion)
  const failing = [...text.matchAll(/check-reason"><code>(\w+)</g)].map(([, reason]) => reason)
  expect(failing).toEqual([
    'signature_invalid',
    'audience_mismatch',
    'assertion_expired',
    'scope_not_granted',
  ])
})

test('nothing is claimed, counted, issued or written down', async () => {
  const fixture = await server.createFixture({ algorithm: 'ES256', organizationId: own.organizationId })
  await must(server.api('PATCH', fixture.accountPath, { token_requests_per_minute: 5 }))
  const assertion = await sign(fixture, {})
  const before = await takeStock()
  for (const kind of ['grant', 'client'] as const) {
    await tryIt(assertion, kind)
    await tryIt(await sign(fixture, { aud: 'x' }), kind)
  }
  expect(await takeStock()).toEqual(before)
  const { keyId, accountPath } = fixture
  expect((await must(server.api('GET', `${accountPath}/keys/${keyId}`))).last_used_at).toBeNull()
  expect(JSON.stringify(server.logs())).not.toContain(assertion.split('.')[1])

  async function takeStock() {
    const tables = ['grant_records', 'used_jtis', 'audit_events', 'token_request_counts']
    const counts = tables.map((table) => `(select count(*)::int from ${table}) as ${table}`).join(', ')
    const { rows } = await server.connection.pool.query(`select ${counts}`)
    return rows[0]
  }
})

test('an account of another organization is answered like one that never was', async () => {
  const used = await foreign.assertion({ aud: server.issuer })
  await foreign.requestToken({ assertion: used })
  const unknown = `acc_${'0'.repeat(36)}`
  const claims = foreign.claims({ aud: server.issuer, jti: randomBytes(6).toString('hex') })
  const sign = (changes: object, privateKey = foreign.keyPair.privateKey) =>
    signCompact({ alg: 'ES256', kid: foreign.keyId }, { ...claims, ...changes }, privateKey)
  const never = await tryIt(await sign({ iss: unknown, sub: unknown }))
  expect(never.verdict).toBe('issuer_unknown')
  for (const assertion of [
    await sign({}),
    await sign({}, own.keyPair.privateKey),
    await sign({ iss: foreign.accountEmail }),
  ]) {
    const known = await tryIt(assertion)
    expect(comparable(known.text)).toBe(comparable(never.text))
  }
  expect((await tryIt(used)).text).not.toContain('tok_')

  function comparable(text: string): string {
    const [page = ''] = /<main[\s\S]*<\/main>/.exec(text) ?? []
    return (
      page
        .replaceAll(/\d+ characters/g, '')
        // The second may have changed in between.
        .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC[^<]*/g, 'TIME')
        .replaceAll(foreign.accountEmail, 'ID')
        .replaceAll(foreign.accountId, 'ID')
        .replaceAll(unknown, 'ID')
    )
  }
})

describe('a request is found by its id', () => {
  let refused: Answer
  beforeAll(async () => {
    // What is refused above is more than the trail keeps of a minute.
    server.clock.advance(61)
    refused = await own.requestToken({ assertion: await own.assertion({ aud: 'https://elsewhere.example' }) })
  })
  const lookFor = (id: string | null, who = client) =>
    who.get(`/organizations/${slug}/try-it?${new URLSearchParams({ request: id ?? '' })}`)

  test('with the reason that its caller was not told', async () => {
    const page = await eventually(async () => {
      const { text } = await lookFor(refused.headers.get('x-request-id'))
      expect(text).toContain('Refused: <code>audience_mismatch</code>')
      return text
    })
    expect(page).toContain('byte for byte')
    expect(page).toContain(`service-accounts/${own.accountId}`)
  })

  test('by who may read the trail, and in its own organization alone', async () => {
    const id = refused.headers.get('x-request-id')
    const management = await managementServerId(server)
    const reader = await createAdministrator(server, own.organizationId, {
      permissions: [{ resource_server_id: management, permission: 'service_accounts:read' }],
    })
    const { text } = await lookFor(id, await createConsoleClient(server, reader))
    expect(text).not.toContain('audience_mismatch')
    expect(text).not.toContain('X-Request-Id')
    const theirs = await foreign.requestToken({ assertion: await foreign.assertion({ aud: 'x' }) })
    const unknown = await lookFor('req_unknown')
    const found = await lookFor(theirs.headers.get('x-request-id'))
    expect(found.text).toContain('Nothing here is known of this request')
    expect(unknown.text).toContain('Nothing here is known of this request')
  })
})

describe('in a browser', () => {
  test('an assertion is explained', async () => {
    await person.open(`/organizations/${slug}/try-it`)
    await person.look('try-it')
    await person.fill({ Assertion: await sign(own, {}) })
    await person.press('Explain')
    expect(await person.text()).toContain('This would get a token')
    expect(await person.page.getByLabel('Assertion', { exact: true }).inputValue()).toBe('')
    await person.look('try-it-holds')
    await person.fill({
      Assertion: await sign(own, {
        aud: [server.issuer, 'https://elsewhere.example'],
        exp: seconds() - 400,
        iat: seconds() - 700,
      }),
    })
    await person.press('Explain')
    expect(await person.text()).toContain('This would be refused: audience_mismatch')
    await person.look('try-it-refused')
    await person.fill({ Assertion: '' })
    await person.press('Explain')
    expect(await person.text()).toContain('Paste an assertion')
    await person.fill({ Assertion: 'nonsense' })
    await person.press('Explain')
    await person.look('try-it-malformed')
  })

  test('the reason of a refusal is found', async () => {
    server.clock.advance(61)
    const answer = await own.requestToken({
      assertion: await own.assertion({ exp: seconds() - 400, iat: seconds() - 700 }),
    })
    const id = answer.headers.get('x-request-id') ?? ''
    await eventually(async () => {
      await person.open(`/organizations/${slug}/try-it`)
      await person.page.getByLabel('Request id').fill(id)
      await person.press('Find')
      expect(await person.text()).toContain('Refused: assertion_expired')
    })
    await person.look('try-it-request')
  })
})
