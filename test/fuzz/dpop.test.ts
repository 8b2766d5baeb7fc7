import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { calculateJwkThumbprint } from 'jose'
import { Refusal } from '../../src/errors.ts'
import { createNonces } from '../../src/possession/nonces.ts'
import { createProofVerifier } from '../../src/possession/proof.ts'
import { normalizeTarget } from '../../src/possession/target-uri.ts'
import { expectRefusal } from '../conformance/support.ts'
import { createProver, type Prover } from '../support/dpop.ts'
import { sendRaw } from '../support/raw-request.ts'
import { type Fixture, startTestServer, type TestServer } from '../support/server.ts'
import { attempt } from './attempt.ts'
import { fuzz } from './inputs.ts'
import { anyJson, anyText, longText, mutations } from './texts.ts'

const NOW = 1_700_000_000
const FRESH_SECONDS = 300
const TARGET = 'https://id.example.test/oauth/token'
const TOKEN = 'cst_token'
const ATH = createHash('sha256').update(TOKEN).digest('base64url')

const pair = generateKeyPairSync('ed25519')
const jwk = pair.publicKey.export({ format: 'jwk' })
const jkt = await calculateJwkThumbprint(jwk)
const clock = { now: () => NOW * 1000 }
const nonces = createNonces({
  keyEncryptionKeys: [Buffer.alloc(32, 7)],
  purpose: 'token endpoint',
  clock,
})
const verifyProof = createProofVerifier({ nonces, clock })

const mostly = (good: fc.Arbitrary<unknown>, bad: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: bad })
const moments = fc
  .tuple(fc.constantFrom(-FRESH_SECONDS, 0, FRESH_SECONDS), fc.constantFrom(-1, -0.5, 0, 0.5, 1))
  .map(([edge, step]) => NOW + edge + step)
const optionally = (times: fc.Arbitrary<unknown>) =>
  fc.oneof(fc.constant(undefined), fc.constant(undefined), times)
const claims = fc.record({
  jti: mostly(fc.constantFrom('j1', 'é'), fc.oneof(anyJson, fc.constant(undefined))),
  htm: mostly(fc.constant('POST'), fc.oneof(anyJson, fc.constantFrom('post', 'GET', undefined))),
  htu: mostly(
    fc.constantFrom(
      TARGET,
      `${TARGET}?a=b#c`,
      'HTTPS://ID.example.test:443/oauth/token',
      `${TARGET.slice(0, -1)}%6e`,
    ),
    fc.oneof(anyJson, fc.constantFrom(`${TARGET}/`, TARGET.replace('https', 'http'), undefined)),
  ),
  iat: mostly(moments, fc.oneof(anyJson, fc.constant(undefined))),
  nbf: mostly(optionally(moments), anyJson),
  exp: mostly(optionally(moments), anyJson),
  ath: mostly(fc.constant(ATH), fc.oneof(anyJson, fc.constant(undefined))),
  nonce: mostly(fc.constant(nonces.present()), fc.oneof(anyJson, fc.constant(undefined))),
})
const header = fc.record({
  alg: mostly(fc.constantFrom('EdDSA', 'Ed25519'), fc.constantFrom('ES256', 'none', 'HS256')),
  typ: mostly(fc.constantFrom('dpop+jwt', 'application/dpop+jwt'), fc.oneof(anyText, fc.constant(undefined))),
  jwk: mostly(fc.constant(jwk), fc.oneof(anyJson, fc.constant({ ...jwk, d: 'AA' }), fc.constant(undefined))),
})

test('[9449-4.3-3][9449-4.3-8][9449-4.3-9b][9449-4.3-11][9449-4.3-12] a proof under a good signature holds exactly when RFC 9449 §4.3 says so', () =>
  fuzz('DPoP proof', fc.tuple(header, claims, fc.boolean()), ([head, body, withToken]) => {
    const message = [head, body]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const proof = `${message}.${sign(null, Buffer.from(message), pair.privateKey).toString('base64url')}`
    const request = { method: 'POST', target: TARGET, accessToken: withToken ? TOKEN : undefined }
    const verdict = attempt(() => verifyProof(proof, request))
    if (verdict instanceof Refusal) {
      expect(verdict.reason).toMatch(/^proof_/)
      expect(verdict.told.dpopNonce !== undefined).toBe(verdict.reason === 'proof_nonce_required')
    } else expect(verdict.jkt).toBe(jkt)
    expect(!(verdict instanceof Refusal)).toBe(holds(head, body, withToken))
  }))

/** RFC 9449 §4.3 once more, as one sentence. */
function holds(
  { alg, typ, jwk: key }: Record<string, unknown>,
  { jti, htm, htu, iat, nbf, exp, ath, nonce }: Record<string, unknown>,
  withToken: boolean,
): boolean {
  return (
    ['EdDSA', 'Ed25519'].includes(alg as string) &&
    ['dpop+jwt', 'application/dpop+jwt'].includes(String(typ).toLowerCase()) &&
    typeof typ === 'string' &&
    JSON.stringify(key) === JSON.stringify(jwk) &&
    typeof jti === 'string' &&
    isPlain(jti) &&
    htm === 'POST' &&
    typeof htu === 'string' &&
    isTarget(htu) &&
    isDate(iat) &&
    Math.abs(iat - NOW) <= FRESH_SECONDS &&
    (nbf === undefined || (isDate(nbf) && nbf <= NOW + FRESH_SECONDS)) &&
    (exp === undefined || (isDate(exp) && exp > NOW)) &&
    (withToken ? ath === ATH : ath === undefined || typeof ath === 'string') &&
    nonce === nonces.present()
  )
}

function isTarget(htu: string): boolean {
  if (!URL.canParse(htu)) return false
  const { origin, pathname } = new URL(htu)
  return origin + decodeURIComponent(pathname) === TARGET
}

function isDate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < 253_402_300_800
}

function isPlain(text: string): boolean {
  if (text === '' || text.length > 255 || !text.isWellFormed()) return false
  return [...text].every((character) => character >= ' ' && character !== '\u007f')
}

const hosts = fc.constantFrom('id.example.test', 'localhost', '127.0.0.1', '[::1]')
const paths = fc
  .array(fc.string({ unit: fc.constantFrom(...'abZ9-._~!$&()*+,;=:@/'), maxLength: 6 }), { maxLength: 4 })
  .map((parts) => `/${parts.join('/')}`)

test('[9449-4.3-9b] one target under any of its spellings is one, and another is another', () =>
  fuzz(
    'request targets',
    fc.tuple(hosts, paths, fc.nat(), fc.oneof(anyText, longText)),
    ([host, path, at, text]) => {
      const plain = `https://${host}${path}`
      const normal = normalizeTarget(plain)
      expect(normal).toBeDefined()
      const respelled = [
        `HTTPS://${host.toUpperCase()}:443${path}`,
        `${plain}?${encodeURIComponent(text.toWellFormed().slice(0, 100))}`,
        `${plain}#a`,
        `https://${host}${escapeOne(path, at)}`,
        `https://${host}/x/..${path}`,
        normal ?? '',
      ]
      for (const spelling of respelled) expect(normalizeTarget(spelling)).toBe(normal)
      for (const other of [
        `http://${host}${path}`,
        `https://${host}:8443${path}`,
        `${plain}x`,
        `https://x.${path}`,
      ])
        expect(normalizeTarget(other)).not.toBe(normal)
      const normalText = normalizeTarget(text)
      if (normalText !== undefined) expect(normalizeTarget(normalText)).toBe(normalText)
    },
  ))

/** One unreserved character of a path, percent-encoded. Dots and slashes have a meaning of their own. */
function escapeOne(path: string, at: number): string {
  const places = [...path].flatMap((character, index) => (/[A-Za-z0-9\-_~]/.test(character) ? [index] : []))
  const place = places[at % Math.max(places.length, 1)]
  if (place === undefined) return path
  const code = path.charCodeAt(place).toString(16)
  return `${path.slice(0, place)}%${at % 2 === 0 ? code : code.toUpperCase()}${path.slice(place + 1)}`
}

let server: TestServer
let fixture: Fixture
let prover: Prover
beforeAll(async () => {
  server = await startTestServer({ keepsLogs: false })
  fixture = await server.createFixture({ algorithm: 'ES256' })
  prover = await createProver(server)
})
afterAll(() => server.close())

test('[9449-5-2] of all mutations of a good proof only the good one itself binds a token, and no other gets one', () =>
  fuzz('DPoP proof, mutated', mutations, async (mutate) => {
    const nonce = await presentNonce()
    const good = await prover.prove({ nonce })
    const proof = mutate(good)
    // What no client can send in a header, or what Node.js trims off it.
    if (!/^[\x21-\x7e](?:[\x20-\x7e\x80-\xff]*[\x21-\x7e])?$/.test(proof) || proof.length > 12_000) return
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await fixture.assertion(),
    })
    const answer = await sendRaw(server, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', dpop: proof },
      body: form.toString(),
    })
    if (proof === good) expect(answer.body).toMatchObject({ token_type: 'DPoP' })
    else expectRefusal(answer, 400, 'invalid_dpop_proof')
  }))

let known: { nonce: string; goodUntil: number } | undefined
/** A nonce is good for two minutes at least. */
async function presentNonce(): Promise<string> {
  if (known === undefined || server.clock.now() > known.goodUntil)
    known = { nonce: await prover.tokenNonce(), goodUntil: server.clock.now() + 100_000 }
  return known.nonce
}
