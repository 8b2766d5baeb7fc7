import { createPrivateKey, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { decode, signCompact } from '../support/jwt.ts'
import { type Answer, type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { expectNothingIssued, expectRefusalFor } from './support.ts'

let server: TestServer
let a: Fixture
let b: Fixture
/** An account of the same organization as `a`. */
let sibling: Fixture

beforeAll(async () => {
  server = await startTestServer()
  a = await server.createFixture()
  b = await server.createFixture()
  sibling = await server.createFixture({ algorithm: 'ES256', organizationId: a.organizationId })
})
afterAll(() => server.close())

/** Sends an assertion that must be refused in both voices, and must leave nothing. */
async function refused(assertion: string, reason: string): Promise<Answer> {
  const answer = await expectNothingIssued(server, () => a.requestToken({ assertion }))
  await expectRefusalFor(server, answer, { error: 'invalid_grant', reason })
  expect(answer.text).not.toContain(assertion.slice(0, 20))
  return answer
}

describe('RFC 7523 §3, 1: the issuer', () => {
  test.each<[string, unknown]>([
    ['absent', undefined],
    ['a number', 1],
    ['an array', ['x']],
    ['empty', ''],
    ['null', null],
  ])('[7523-3.1a][7523-3.1-1] an assertion whose iss is %s is refused', async (_what, iss) => {
    await refused(await a.assertion({ iss }), 'claim_malformed')
  })

  test.each<[string, (id: string) => string]>([
    ['upper case', (id) => id.toUpperCase()],
    ['a trailing slash', (id) => `${id}/`],
    ['a trailing space', (id) => `${id} `],
    ['a leading space', (id) => ` ${id}`],
    ['percent-encoding', (id) => id.replace('_', '%5F')],
    ['a full-width character', (id) => id.replace('_', '＿')],
    ['a URL around it', (id) => `https://${id}`],
  ])('[7523-3.1b] the account id with %s is another issuer, as iss and as sub', async (_what, spell) => {
    const name = spell(a.accountId)
    await refused(await a.assertion({ iss: name, sub: name }), 'issuer_unknown')
    await refused(await a.assertion({ sub: name }), 'subject_not_allowed')
  })

  test.each<[string, (email: string) => string]>([
    ['upper case', (email) => email.toUpperCase()],
    ['a trailing dot', (email) => `${email}.`],
    ['a percent-encoded at sign', (email) => email.replace('@', '%40')],
  ])('[7523-3.1b] the account email with %s is another issuer', async (_what, spell) => {
    const name = spell(a.accountEmail)
    await refused(await a.assertion({ iss: name, sub: name }), 'issuer_unknown')
  })

  test('[7523-3.1b] id and email name the same account, in iss and in sub', async () => {
    for (const iss of [a.accountId, a.accountEmail]) {
      for (const sub of [a.accountId, a.accountEmail]) {
        const answer = await a.requestToken({ assertion: await a.assertion({ iss, sub }) })
        expect(answer.status).toBe(200)
        expect(decode(answer.body.access_token).claims.sub).toBe(a.accountId)
      }
    }
  })

  test('[7523-3.1c] unknown, disabled and deleted accounts and a bad signature are told alike (accounts do not expire)', async () => {
    const disabled = await server.createFixture({ algorithm: 'ES256' })
    const deleted = await server.createFixture({ algorithm: 'ES256' })
    const closed = await server.createFixture({ algorithm: 'ES256' })
    await server.api('PATCH', disabled.accountPath, { status: 'disabled' })
    await server.api('DELETE', deleted.accountPath)
    await server.api('PATCH', `/organizations/${closed.organizationId}`, { status: 'disabled' })
    const unknown = `${a.accountId.slice(0, -1)}${a.accountId.endsWith('0') ? '1' : '0'}`

    const answers = [
      await refused(await a.assertion({ iss: unknown, sub: unknown }), 'issuer_unknown'),
      await refused(await disabled.assertion(), 'account_inactive'),
      await refused(await disabled.assertion({ iss: disabled.accountEmail }), 'account_inactive'),
      await refused(await deleted.assertion(), 'issuer_unknown'),
      await refused(await deleted.assertion({ iss: deleted.accountEmail }), 'issuer_unknown'),
      await refused(await closed.assertion(), 'organization_inactive'),
      await refused(`${(await a.assertion()).slice(0, -9)}AAAAAAAAA`, 'signature_invalid'),
    ]
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1)
    expect(new Set(answers.map((answer) => [...answer.headers.keys()].sort().join())).size).toBe(1)
  })

  test('[7523-3.1d][8725-3.8-1] a key of another account never speaks for this one, whatever kid it names', async () => {
    const byB = (kid: string | undefined, claims: Record<string, unknown> = {}) =>
      signCompact(
        { alg: 'RS256', ...(kid === undefined ? {} : { kid }) },
        a.claims(claims),
        b.keyPair.privateKey,
      )
    await refused(await byB(b.keyId), 'key_unknown')
    await refused(await byB(a.keyId), 'signature_invalid')
    await refused(await byB(undefined), 'signature_invalid')
    await refused(await byB(b.keyId, { iss: a.accountEmail, sub: b.accountId }), 'key_unknown')
    expect((await b.requestToken()).status).toBe(200)
  })

  test('[7523-3.1d] an iss in the header does not choose whose key is looked up', async () => {
    const header = { alg: 'RS256', kid: b.keyId, iss: b.accountId, sub: b.accountId }
    await refused(await signCompact(header, a.claims(), b.keyPair.privateKey), 'key_unknown')
  })
})

describe('RFC 7523 §3, 2: the subject', () => {
  test.each<[string, unknown]>([
    ['absent', undefined],
    ['a number', 1],
    ['null', null],
    ['an array', ['x']],
    ['an object', {}],
    ['a boolean', true],
  ])('[7523-3.2a] an assertion whose sub is %s is refused', async (_what, sub) => {
    await refused(await a.assertion({ sub }), 'claim_malformed')
  })

  test('[7523-3.2a] under the google profile an absent sub, and no other, means the issuer', async () => {
    const google = await server.createFixture({ algorithm: 'ES256', assertionPolicy: { profile: 'google' } })
    const answer = await google.requestToken({ assertion: await google.assertion({ sub: undefined }) })
    expect(answer.status).toBe(200)
    expect(decode(answer.body.access_token).claims.sub).toBe(google.accountId)
    await refused(await google.assertion({ sub: null }), 'claim_malformed')
    await refused(await google.assertion({ sub: '' }), 'subject_not_allowed')
    await refused(await google.assertion({ sub: a.accountId }), 'subject_not_allowed')
  })

  test.each<[string, () => string]>([
    ['another account', () => b.accountId],
    ['the email of another account', () => b.accountEmail],
    ['an account of the same organization', () => sibling.accountId],
    ['an end user', () => 'user-1'],
    ['this server', () => server.issuer],
    ['the account in another case', () => a.accountId.toUpperCase()],
    ['nobody', () => ''],
  ])('[7523-3.2c][8725-3.8-2] without delegation, %s is no subject', async (_who, sub) => {
    await refused(await a.assertion({ sub: sub() }), 'subject_not_allowed')
  })
})

describe('RFC 7523 §3, 9: the signature', () => {
  const flip = (compact: string, part: 0 | 1 | 2) => {
    const parts = compact.split('.')
    const bytes = Buffer.from(parts[part]!, 'base64url')
    // In a claim's value, so that the JSON stays well formed.
    const at = part === 2 ? 100 : bytes.lastIndexOf(part === 0 ? 'key_' : 'acc_') + 20
    bytes[at] = part === 2 ? bytes[at]! ^ 1 : bytes[at]! === 0x30 ? 0x31 : 0x30
    parts[part] = bytes.toString('base64url')
    return parts.join('.')
  }

  test.each<[string, (good: string) => string, string]>([
    ['one changed byte in the payload', (good) => flip(good, 1), 'signature_invalid'],
    ['one changed byte in the signature', (good) => flip(good, 2), 'signature_invalid'],
    ['one changed byte in the header', (good) => flip(good, 0), 'key_unknown'],
    ['no signature', (good) => good.replace(/\.[^.]+$/, '.'), 'assertion_malformed'],
    ['no third part', (good) => good.replace(/\.[^.]+$/, ''), 'assertion_malformed'],
    ['half of the signature', (good) => good.slice(0, -170), 'signature_invalid'],
    ['a signature of one byte', (good) => good.replace(/\.[^.]+$/, '.AA'), 'signature_invalid'],
    ['a signature of zeros', (good) => good.replace(/\.[^.]+$/, `.${'A'.repeat(342)}`), 'signature_invalid'],
    ['a signature twice as long', (good) => `${good}${'A'.repeat(342)}`, 'signature_invalid'],
  ])('[7523-3.9a] an assertion with %s is refused', async (_what, forge, reason) => {
    const good = await a.assertion({ iss: a.accountEmail })
    await refused(forge(good), reason)
    expect((await a.requestToken({ assertion: good })).status).toBe(200)
  })

  test('[7523-3.9a] the signature of one assertion does not fit another', async () => {
    const [one, other] = [await a.assertion(), await a.assertion()].map((jwt) => jwt.split('.'))
    await refused([other![0], other![1], one![2]].join('.'), 'signature_invalid')
  })

  test('[7523-3.9a] an ECDSA signature in DER form is not a JWS signature', async () => {
    const ec = await server.createFixture({ algorithm: 'ES256' })
    const good = await ec.assertion()
    const message = good.slice(0, good.lastIndexOf('.'))
    const der = sign('sha256', Buffer.from(message), createPrivateKey(ec.keyPair.privateKeyPem))
    await refused(`${message}.${der.toString('base64url')}`, 'signature_invalid')
    expect((await ec.requestToken({ assertion: good })).status).toBe(200)
  })

  test('[7523-3.9a] an ECDSA signature of zeros is refused (CVE-2022-21449)', async () => {
    const ec = await server.createFixture({ algorithm: 'ES256' })
    const good = await ec.assertion()
    await refused(good.replace(/\.[^.]+$/, `.${'A'.repeat(86)}`), 'signature_invalid')
  })
})
