import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { calculateJwkThumbprint, importJWK, type JWK } from 'jose'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { type PublicKeyMaterial, parsePublicKey } from '../../src/directory/public-key.ts'
import { Refusal } from '../../src/errors.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const ed25519 = generateKeyPairSync('ed25519')
const rsaJwk = jwkOf(rsa.publicKey)
const p256Jwk = jwkOf(p256.publicKey)
const ed25519Jwk = jwkOf(ed25519.publicKey)
const rsaCertificate = toPem(
  'CERTIFICATE',
  await selfSignedCertificate(rsa.privateKey, {
    commonName: 'long-gone',
    notBefore: new Date('2001-01-01T00:00:00Z'),
    notAfter: new Date('2002-01-01T00:00:00Z'),
  }),
)

describe('accepted forms', () => {
  const forms: [string, string | Record<string, unknown>][] = [
    ['SPKI PEM', spkiPem(rsa.publicKey)],
    ['PKCS#1 public PEM', pkcs1Pem(rsa.publicKey)],
    ['X.509 certificate PEM that expired long ago', rsaCertificate],
    ['JWK object', rsaJwk],
    ['JWK as JSON text', JSON.stringify(rsaJwk)],
    ['JWK as JSON text after a byte-order mark', `\ufeff\n${JSON.stringify(rsaJwk)}\n`],
    ['JWK with members that are of no concern', { ...rsaJwk, ext: true, x5u: 'http://169.254.169.254/' }],
    ['JWK whose absent private members are null', { ...rsaJwk, d: null, p: null }],
    ['CRLF line ends', spkiPem(rsa.publicKey).replaceAll('\n', '\r\n')],
    ['no line breaks in the body', toPem('PUBLIC KEY', spkiDer(rsa.publicKey), 10_000)],
    ['text around the block', `Bag Attributes\n  [x]: 1\n${spkiPem(rsa.publicKey)}\nsent by mail`],
    ['text around the block that begins like JSON', `[ops] our key:\n${spkiPem(rsa.publicKey)}`],
  ]
  test.each(forms)('[7518-keyform] a key is the same key when it comes as %s', (_form, input) => {
    expect(parsePublicKey(input)).toEqual({
      publicKey: { kty: 'RSA', n: rsaJwk.n, e: 'AQAB' },
      algorithm: 'RS256',
      modulusLength: 2048,
      thumbprint: parsePublicKey(rsaJwk).thumbprint,
      declaredKid: undefined,
    })
  })

  test('[7518-keyform] a certificate of an EC key gives that key, although the certificate has expired', () => {
    expect(parsePublicKey(EXPIRED_P384_CERTIFICATE)).toMatchObject({
      publicKey: { kty: 'EC', crv: 'P-384' },
      algorithm: 'ES384',
      modulusLength: null,
    })
  })

  test.each([
    ['P-256', p256, 'ES256', ['kty', 'crv', 'x', 'y']],
    ['P-384', p384, 'ES384', ['kty', 'crv', 'x', 'y']],
    ['Ed25519', ed25519, 'EdDSA', ['kty', 'crv', 'x']],
  ] as const)('a %s key is kept with its public members alone', (_kind, pair, algorithm, members) => {
    const fromPem = parsePublicKey(spkiPem(pair.publicKey))
    expect(Object.keys(fromPem.publicKey)).toEqual(members)
    expect(fromPem).toMatchObject({ algorithm, modulusLength: null })
    expect(parsePublicKey({ ...jwkOf(pair.publicKey), use: 'sig', ext: true })).toEqual(fromPem)
  })

  test.each([
    ['RS256', rsa.publicKey],
    ['ES256', p256.publicKey],
    ['ES384', p384.publicKey],
    ['EdDSA', ed25519.publicKey],
  ] as const)(
    'what is kept of an %s key is imported by jose and has its thumbprint',
    async (algorithm, key) => {
      const material = parsePublicKey(spkiPem(key))
      await expect(importJWK(material.publicKey, algorithm)).resolves.toMatchObject({ type: 'public' })
      expect(material.thumbprint).toBe(await calculateJwkThumbprint(material.publicKey))
    },
  )
})

describe('thumbprint', () => {
  test('[7638-3-1] the example key of RFC 7638 §3.1 has the thumbprint that the RFC gives', () => {
    expect(parsePublicKey({ ...RFC7638_KEY }).thumbprint).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })

  test('[7638-3.2.1] the client computes the same thumbprint from its private half', async () => {
    for (const { publicKey, privateKey } of [rsa, p256, p384, ed25519]) {
      const privateJwk = privateKey.export({ format: 'jwk' }) as JWK
      expect(parsePublicKey(spkiPem(publicKey)).thumbprint).toBe(await calculateJwkThumbprint(privateJwk))
    }
  })

  test('[7518-6.3.1] leading zero octets in n and e do not make another key', () => {
    const padded = { ...rsaJwk, n: withLeadingZero(rsaJwk.n), e: withLeadingZero(rsaJwk.e) }
    expect(parsePublicKey(padded)).toEqual(parsePublicKey(rsaJwk))
  })
})

describe('private keys', () => {
  const encrypted = { cipher: 'aes-256-cbc', passphrase: 'secret' } as const
  const pkcs8 = pemOf(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'der' })
  const privateJwk = jwkOf(rsa.privateKey)
  const forms: [string, string | Record<string, unknown>][] = [
    ['PKCS#8 PEM', pkcs8],
    ['PKCS#8 PEM of an Ed25519 key', pemOf(ed25519.privateKey.export({ type: 'pkcs8', format: 'pem' }))],
    ['encrypted PKCS#8 PEM', pemOf(rsa.privateKey.export({ type: 'pkcs8', format: 'pem', ...encrypted }))],
    ['PKCS#1 PEM', pemOf(rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }))],
    ['encrypted PKCS#1 PEM', pemOf(rsa.privateKey.export({ type: 'pkcs1', format: 'pem', ...encrypted }))],
    ['SEC1 PEM', pemOf(p256.privateKey.export({ type: 'sec1', format: 'pem' }))],
    [
      'OpenSSH private key',
      toPem('OPENSSH PRIVATE KEY', Buffer.concat([Buffer.from('openssh-key-v1\0'), pkcs1])),
    ],
    ['PGP private key', toPem('PGP PRIVATE KEY BLOCK', pkcs1)],
    ['PuTTY private key', `PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\n${pkcs1.toString('base64')}`],
    ['PKCS#8 PEM with CRLF', pkcs8.replaceAll('\n', '\r\n')],
    ['PKCS#8 PEM cut short', pkcs8.slice(0, 400)],
    ['public and private PEM together', `${spkiPem(rsa.publicKey)}${pkcs8}`],
    ['PKCS#1 private bytes labelled RSA PUBLIC KEY', toPem('RSA PUBLIC KEY', pkcs1)],
    ['PKCS#8 bytes labelled PUBLIC KEY', toPem('PUBLIC KEY', pkcs8Der(rsa.privateKey))],
    ['PKCS#8 bytes labelled CERTIFICATE', toPem('CERTIFICATE', pkcs8Der(p256.privateKey))],
    [
      'bytes of an encrypted key labelled PUBLIC KEY',
      toPem('PUBLIC KEY', rsa.privateKey.export({ type: 'pkcs8', format: 'der', ...encrypted })),
    ],
    ['base64 of PKCS#8 without a label', pkcs8Der(rsa.privateKey).toString('base64')],
    ['base64 of a PEM file', Buffer.from(pkcs8).toString('base64')],
    ['JWK object', privateJwk],
    ['JWK as JSON text', JSON.stringify(privateJwk)],
    ['EC JWK', jwkOf(p256.privateKey)],
    ['Ed25519 JWK', jwkOf(ed25519.privateKey)],
    ['symmetric JWK', { kty: 'oct', k: pkcs1.toString('base64url') }],
    ['JWK Set', { keys: [rsaJwk, privateJwk] }],
    ['list of JWKs', JSON.stringify([privateJwk])],
    ['JWK in a wrapper', { key: { material: privateJwk } }],
    ['whole key file', { type: 'service_account', private_key: pkcs8 }],
    ['whole key file as JSON text', JSON.stringify({ type: 'service_account', private_key: pkcs8 })],
  ]
  const secrets = [rsa.privateKey, p256.privateKey, ed25519.privateKey].flatMap(secretParts)

  test.each(forms)(
    '[7518-6.3.2] a private key is refused as %s, and nothing of it is repeated',
    (_form, input) => {
      const refusal = refusalOf(() => parsePublicKey(input))
      expect(refusal.reason).toBe('private_key_given')
      expect(refusal.told.hint).toMatch(/compromised/)
      expect(refusal.told.faults?.map(({ pointer }) => pointer)).toEqual(['/public_key'])
      const everything =
        inspect(refusal, { depth: 20, showHidden: true }) + JSON.stringify(refusal) + refusal.stack
      expect(secrets.filter((secret) => everything.includes(secret))).toEqual([])
    },
  )

  test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])(
    '[7518-6.3.2] the one private member %s is enough to refuse a JWK, whatever its value',
    (name) => {
      for (const value of ['AQAB', '', 0, false, [], {}]) {
        expect(refusalOf(() => parsePublicKey({ ...rsaJwk, [name]: value })).reason).toBe('private_key_given')
      }
    },
  )
})

describe('RSA strength', () => {
  test.each([1024, 2047])('[8725-3.5-1] an RSA key of %i bits is refused in every form', (bits) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
    expect(
      createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).asymmetricKeyDetails?.modulusLength,
    ).toBe(bits)
    for (const input of [spkiPem(publicKey), pkcs1Pem(publicKey), jwkOf(publicKey)]) {
      expect(faultOf(input)).toMatch(/2048 to 8192 bits/)
    }
  })

  test('[7518-3.3] an RSA key of exactly 2048 bits is accepted', () => {
    expect(parsePublicKey(rsaJwk).modulusLength).toBe(2048)
  })

  test('[8725-3.5-3] an RSA key of 8192 bits is accepted and one of 8193 is refused', () => {
    expect(parsePublicKey({ kty: 'RSA', n: modulusOf(8192), e: 'AQAB' }).modulusLength).toBe(8192)
    expect(faultOf({ kty: 'RSA', n: modulusOf(8193), e: 'AQAB' })).toMatch(/2048 to 8192 bits/)
  })

  test.each([0n, 1n, 2n, 3n, 17n, 65_535n, 65_536n, 65_538n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 2000n + 1n])(
    '[8725-3.5-2] the RSA exponent %i is refused',
    (exponent) => {
      expect(faultOf({ ...rsaJwk, e: base64urlUint(exponent) })).toMatch(/exponent/)
    },
  )

  test.each([65_537n, 65_539n, 2n ** 32n - 1n])(
    '[8725-3.5-2] the RSA exponent %i is accepted',
    (exponent) => {
      expect(parsePublicKey({ ...rsaJwk, e: base64urlUint(exponent) }).publicKey).toMatchObject({
        kty: 'RSA',
      })
    },
  )

  test('[8725-3.4] an RSA modulus with a small factor is refused', () => {
    const modulus = BigInt(`0x${Buffer.from(rsaJwk.n, 'base64url').toString('hex')}`)
    for (const factor of [2n, 3n, 751n]) {
      expect(faultOf({ ...rsaJwk, n: base64urlUint(modulus - (modulus % factor)) })).toMatch(/small factor/)
    }
  })

  test('[7518-keyform] a key restricted to RSASSA-PSS is refused', () => {
    const { publicKey } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
    expect(faultOf(spkiPem(publicKey))).toMatch(/RSASSA-PSS/)
  })
})

describe('curves', () => {
  test('[8725-3.4] an EC point that is not on the curve is refused, as JWK and as SPKI', () => {
    const y = Buffer.from(p256Jwk.y, 'base64url')
    y[31] = (y[31] ?? 0) ^ 1
    expect(faultOf({ ...p256Jwk, y: y.toString('base64url') })).toMatch(/not on the curve/)
    const spki = spkiDer(p256.publicKey)
    y.copy(spki, spki.length - 32)
    expect(faultOf(toPem('PUBLIC KEY', spki))).toMatch(/cannot be read/)
  })

  test('[8725-3.4] a curve that poses as P-256 with a generator of its own is refused (CVE-2020-0601)', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' })
    const spki = spkiDer(publicKey)
    spkiDer(p256.publicKey).subarray(-64).copy(spki, spki.indexOf(P256_GENERATOR))
    expect(faultOf(toPem('PUBLIC KEY', spki))).toMatch(/given by name|cannot be read/)
  })

  test.each(['secp256k1', 'P-521', 'P-224', 'brainpoolP256r1'])(
    'a key on the curve %s is refused',
    (namedCurve) => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve })
      expect(faultOf(spkiPem(publicKey))).toMatch(/P-256 or P-384/)
    },
  )

  test('an EC JWK on another curve is refused', () => {
    for (const crv of ['P-521', 'secp256k1', 'p-256', '', 1, null, '__proto__']) {
      expect(faultOf({ ...p256Jwk, crv })).toMatch(/crv must be P-256 or P-384/)
    }
  })

  test('a coordinate that is not of full length is refused', () => {
    expect(faultOf({ ...p256Jwk, x: withLeadingZero(p256Jwk.x) })).toMatch(/x must be 32 octets/)
    expect(faultOf({ ...ed25519Jwk, x: ed25519Jwk.x.slice(0, -2) })).toMatch(/x must be 32 octets/)
  })

  test('Ed448, X25519, X448, DSA and ML-DSA keys are refused', () => {
    const others = [
      generateKeyPairSync('ed448'),
      generateKeyPairSync('x25519'),
      generateKeyPairSync('x448'),
      generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }),
      generateKeyPairSync('ml-dsa-44'),
    ]
    for (const { publicKey } of others) expect(faultOf(spkiPem(publicKey))).toMatch(/Ed25519/)
    expect(faultOf({ ...ed25519Jwk, crv: 'Ed448' })).toMatch(/Ed25519/)
    expect(faultOf({ ...ed25519Jwk, crv: 'X25519' })).toMatch(/Ed25519/)
  })

  test('[8725-3.4] every Ed25519 point of small order is refused', () => {
    for (const hex of SMALL_ORDER_POINTS) {
      const point = Buffer.from(hex, 'hex')
      expect(faultOf(ed25519JwkOf(point))).toMatch(/small order/)
      point[31] = (point[31] ?? 0) ^ 0x80
      expect(faultOf(ed25519JwkOf(point))).toMatch(/small order/)
    }
  })

  test('[8725-3.4] an Ed25519 key that is no point, or not in canonical form, is refused', () => {
    const two = Buffer.alloc(32)
    two[0] = 2
    const modulusPlusOne = Buffer.from('ee'.padEnd(62, 'f').concat('7f'), 'hex')
    for (const point of [two, modulusPlusOne, Buffer.alloc(32, 0xff)]) {
      expect(faultOf(ed25519JwkOf(point))).toMatch(/not a point of the curve/)
    }
  })

  test('every genuine Ed25519 key is accepted', () => {
    for (let round = 0; round < 50; round++) {
      expect(parsePublicKey(spkiPem(generateKeyPairSync('ed25519').publicKey)).algorithm).toBe('EdDSA')
    }
  })
})

describe('algorithm', () => {
  test.each<[Record<string, unknown>, string]>([
    [{ ...rsaJwk, alg: 'RS256' }, 'RS256'],
    [{ ...rsaJwk, alg: 'PS256' }, 'PS256'],
    [{ ...p256Jwk, alg: 'ES256' }, 'ES256'],
    [{ ...ed25519Jwk, alg: 'EdDSA' }, 'EdDSA'],
    [{ ...ed25519Jwk, alg: 'Ed25519' }, 'EdDSA'],
  ])('alg of a JWK chooses its algorithm (%#)', (jwk, algorithm) => {
    expect(parsePublicKey(jwk).algorithm).toBe(algorithm)
  })

  test.each<[Record<string, unknown>]>([
    [{ ...rsaJwk, alg: 'ES256' }],
    [{ ...rsaJwk, alg: 'RS384' }],
    [{ ...rsaJwk, alg: 'RSA-OAEP' }],
    [{ ...rsaJwk, alg: 'none' }],
    [{ ...rsaJwk, alg: 'HS256' }],
    [{ ...rsaJwk, alg: 'rs256' }],
    [{ ...rsaJwk, alg: 256 }],
    [{ ...rsaJwk, alg: null }],
    [{ ...rsaJwk, alg: ['RS256'] }],
    [{ ...p256Jwk, alg: 'ES384' }],
    [{ ...ed25519Jwk, alg: 'ES256' }],
  ])('[8725-3.1-2] alg that does not fit the key is refused (%#)', (jwk) => {
    expect(faultOf(jwk)).toMatch(/algorithm of this key must be/)
  })

  test('the requested algorithm is used when it fits, and must agree with alg', () => {
    expect(parsePublicKey(spkiPem(rsa.publicKey), { algorithm: 'PS256' }).algorithm).toBe('PS256')
    expect(parsePublicKey({ ...ed25519Jwk, alg: 'Ed25519' }, { algorithm: 'EdDSA' }).algorithm).toBe('EdDSA')
    const wrong = () => parsePublicKey(spkiPem(p256.publicKey), { algorithm: 'RS256' })
    expect(refusalOf(wrong).told.faults?.[0]?.detail).toMatch(/must be ES256/)
    const differing = () => parsePublicKey({ ...rsaJwk, alg: 'RS256' }, { algorithm: 'PS256' })
    expect(refusalOf(differing).told.faults?.[0]?.detail).toMatch(/differ/)
  })
})

describe('use, key_ops and kid', () => {
  test('a JWK that is meant for signatures is accepted', () => {
    expect(parsePublicKey({ ...rsaJwk, use: 'sig', key_ops: ['verify'] }).algorithm).toBe('RS256')
  })

  test.each<[Record<string, unknown>]>([
    [{ use: 'enc' }],
    [{ use: 'SIG' }],
    [{ use: null }],
    [{ key_ops: [] }],
    [{ key_ops: ['encrypt'] }],
    [{ key_ops: 'verify' }],
    [{ key_ops: null }],
  ])('a JWK that is meant for something else is refused (%#)', (members) => {
    expect(faultOf({ ...rsaJwk, ...members })).toMatch(/^use must|^key_ops must/)
  })

  test.each(['2026-primary', 'a', 'A.b_c-9', 'x'.repeat(128), '__proto__'])(
    '[7638-3-2] the kid %s is kept',
    (kid) => {
      expect(parsePublicKey({ ...rsaJwk, kid }).declaredKid).toBe(kid)
    },
  )

  test.each(['', 'x'.repeat(129), 'a b', 'ä', 'a\n', 'a\u0000', '../..', "' OR 1=1--", 1, null, {}, ['a']])(
    '[7638-3-2] a kid of another shape is refused (%#)',
    (kid) => {
      expect(faultOf({ ...rsaJwk, kid })).toMatch(/^kid must be/)
    },
  )

  test('a kid that looks like an id of this server is refused', () => {
    expect(faultOf({ ...rsaJwk, kid: 'key_0123' })).toMatch(/key_/)
  })
})

describe('faults', () => {
  const spki = spkiPem(rsa.publicKey)
  test.each<[string, unknown, RegExp]>([
    ['nothing', '', /is empty/],
    ['white space', ' \r\n', /is empty/],
    ['any text', 'hello: world', /must be a PEM public key/],
    ['two PEM blocks', `${spki}${spkiPem(p256.publicKey)}`, /one PEM block, and 2/],
    ['a certificate chain', rsaCertificate.repeat(3), /one PEM block, and 3/],
    ['an open PEM block', spki.slice(0, 300), /not closed/],
    ['a PEM block closed by another label', spki.replace('END PUBLIC', 'END RSA PUBLIC'), /not closed/],
    ['a damaged PEM block', spki.replace('MIIB', 'MI*B'), /not valid base64/],
    ['a PEM block that lacks a line', spki.split('\n').toSpliced(2, 1).join('\n'), /cannot be read/],
    ['an empty PEM block', toPem('PUBLIC KEY', Buffer.alloc(0)), /not valid base64/],
    ['escaped line breaks', spki.replaceAll('\n', '\\n'), /escaped/],
    ['SPKI labelled as a certificate', toPem('CERTIFICATE', spkiDer(rsa.publicKey)), /X\.509 certificate/],
    ['a certificate request', toPem('CERTIFICATE REQUEST', randomBytes(300)), /another kind/],
    ['an OpenSSH public key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk me@host', /ssh-keygen/],
    ['base64 without a label', spkiDer(rsa.publicKey).toString('base64'), /BEGIN line/],
    ['broken JSON', '{"kty":"RSA",', /not valid JSON/],
    ['an empty object', {}, /kty is missing/],
    ['a list', [rsaJwk], /kty is missing/],
    ['a JWK Set', { keys: [rsaJwk] }, /JWK Set/],
    ['a number', 5, /PEM text or a JWK/],
    ['null', null, /PEM text or a JWK/],
    ['undefined', undefined, /PEM text or a JWK/],
    ['an unknown kty', { kty: 'AKP' }, /kty must be/],
    ['a symmetric kty without a key', { kty: 'oct' }, /kty must be/],
    ['kty from the prototype', { kty: '__proto__' }, /kty must be/],
    ['no n', { kty: 'RSA', e: 'AQAB' }, /^n must be present/],
    ['a number for n', { ...rsaJwk, n: 5 }, /^n must be present/],
    ['an empty n', { ...rsaJwk, n: '' }, /^n must be present/],
    ['plain base64 for n', { ...rsaJwk, n: `${rsaJwk.n.slice(0, -2)}+/` }, /^n must be present/],
    ['padding on n', { ...rsaJwk, n: `${rsaJwk.n}==` }, /^n must be present/],
    ['no y', { ...p256Jwk, y: undefined }, /^y must be present/],
    ['17 KiB of text', 'x'.repeat(17 * 1024), /too large/],
    ['17 KiB of JWK', { ...rsaJwk, x5c: ['x'.repeat(17 * 1024)] }, /too large/],
    ['endless nesting', { ...rsaJwk, extra: nested(200_000) }, /nested too deeply|too large/],
  ])('%s is refused with a word on what to fix', (_what, input, words) => {
    expect(faultOf(input)).toMatch(words)
  })
})

test('a kept key verifies what its owner signs', () => {
  const { publicKey } = parsePublicKey(rsaCertificate)
  const signature = sign('sha256', Buffer.from('assertion'), rsa.privateKey)
  const key = createPublicKey({ key: publicKey, format: 'jwk' })
  expect(verify('sha256', Buffer.from('assertion'), key, signature)).toBe(true)
})

function parse(input: unknown): PublicKeyMaterial {
  return parsePublicKey(input as string | Record<string, unknown>)
}

function refusalOf(action: () => unknown): Refusal {
  try {
    action()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('nothing was refused')
}

function faultOf(input: unknown): string {
  const refusal = refusalOf(() => parse(input))
  expect(refusal.reason).toBe('input_invalid')
  expect(refusal.told.faults?.map(({ pointer }) => pointer)).toEqual(['/public_key'])
  return refusal.told.faults?.[0]?.detail ?? ''
}

/** Every member as text; those that a kind of key does not have are absent all the same. */
function jwkOf(key: KeyObject): Record<'n' | 'e' | 'x' | 'y', string> & Record<string, unknown> {
  return key.export({ format: 'jwk' }) as ReturnType<typeof jwkOf>
}

function ed25519JwkOf(point: Buffer) {
  return { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }
}

function pemOf(pem: string | Buffer): string {
  return pem.toString()
}

function spkiPem(key: KeyObject): string {
  return pemOf(key.export({ type: 'spki', format: 'pem' }))
}

function pkcs1Pem(key: KeyObject): string {
  return pemOf(key.export({ type: 'pkcs1', format: 'pem' }))
}

function spkiDer(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

function pkcs8Der(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs8', format: 'der' })
}

function toPem(label: string, der: Buffer, width = 64): string {
  const lines = der.toString('base64').match(new RegExp(`.{1,${width}}`, 'g')) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** Pieces of a private key by which it would be recognised in a message. */
function secretParts(key: KeyObject): string[] {
  const body = pkcs8Der(key).toString('base64')
  const { d, p } = key.export({ format: 'jwk' })
  return [body.slice(100, 120), body.slice(-40, -20), d?.slice(4, 20), p?.slice(4, 20)].filter(
    (part): part is string => part !== undefined && part.length > 8,
  )
}

function withLeadingZero(base64url: string): string {
  return Buffer.concat([Buffer.alloc(1), Buffer.from(base64url, 'base64url')]).toString('base64url')
}

function base64urlUint(value: bigint): string {
  const hex = value.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
}

/** A number of exactly that many bits, with no small factor; nobody knows its factors. */
function modulusOf(bits: number): string {
  const primorial = Array.from({ length: 750 }, (_, index) => BigInt(index + 2)).reduce((a, b) => a * b)
  const top = 2n ** BigInt(bits - 1)
  // One more than a multiple of every small prime.
  return base64urlUint(top + primorial - (top % primorial) + 1n)
}

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

const RFC7638_KEY = {
  kty: 'RSA',
  n:
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi' +
    'FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnY' +
    'b9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0' +
    'Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
  alg: 'RS256',
  kid: '2011-04-29',
}

const P256_GENERATOR = Buffer.from('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296', 'hex')

/** y of the points of order 1, 2, 4 and 8, as libsodium lists them. */
const SMALL_ORDER_POINTS = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]

/** Valid for one day of 2026. */
const EXPIRED_P384_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBtjCCATygAwIBAgIUfjMdaH1CNuee1rt9QwS8qY49ZlwwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZml4dHVyZTAeFw0yNjExMjEyMjUzNDdaFw0yNjExMjIyMjUz
NDdaMBIxEDAOBgNVBAMMB2ZpeHR1cmUwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAATY
+/XU4jWyxymhZxKJ1nH8zdD6O3vbczF7q9EgzvnSs76Rh4qlqegbPRGmmoqeI5ei
cjYEJJ9lymdAK0grch/fJ0KcJw443ztRWK+B5maz02LuCVv1YovYN4r7K0ZRZ1uj
UzBRMB0GA1UdDgQWBBQBUH+Shwig6BRSEgCsd8EkH4NX1TAfBgNVHSMEGDAWgBQB
UH+Shwig6BRSEgCsd8EkH4NX1TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMC
A2gAMGUCMETC/cAOrCnnVaR2LLHGHw0lcaA4h5n4eahNKD3kobAeYUALo9MnHsC6
vO7JckiEqwIxANvn+BR5R4Z4+VP78IMhFMKOYBhlcel3oNhPL9yH+rMccU6KQZZi
utuxRo5KNcXJfg==
-----END CERTIFICATE-----
`
