import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { createSignatureCheck } from '../../src/jwt/known-signatures.ts'
import { signJwt } from '../../src/jwt/signature.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

const signEs256 = (claims: object) => signJwt({ alg: 'ES256', typ: 'JWT', kid: 'a' }, claims, ec.privateKey)

test('what is signed is signed however often it is asked, and whatever was asked between', async () => {
  const isSigned = createSignatureCheck(2)
  const all = await Promise.all([1, 2, 3, 4].map((turn) => signEs256({ turn })))
  for (let round = 0; round < 3; round++)
    for (const compact of all) expect(isSigned(compact, 'ES256', ec.publicKey)).toBe(true)
})

test('what is known of one JWT is not believed of any other', async () => {
  const isSigned = createSignatureCheck()
  const good = await signEs256({ sub: 'good' })
  expect(isSigned(good, 'ES256', ec.publicKey)).toBe(true)
  const [header, , signature] = good.split('.')
  const claims = Buffer.from(JSON.stringify({ sub: 'evil' })).toString('base64url')
  for (let turn = 0; turn < 2; turn++) {
    expect(isSigned(`${header}.${claims}.${signature}`, 'ES256', ec.publicKey)).toBe(false)
    expect(isSigned(`${good.slice(0, -2)}AA`, 'ES256', ec.publicKey)).toBe(false)
  }
})

test('nor of another key, nor of another algorithm', async () => {
  const isSigned = createSignatureCheck()
  const good = await signJwt({ alg: 'RS256', typ: 'JWT', kid: 'a' }, {}, rsa.privateKey)
  expect(isSigned(good, 'RS256', rsa.publicKey)).toBe(true)
  expect(isSigned(good, 'PS256', rsa.publicKey)).toBe(false)
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
  expect(isSigned(good, 'RS256', other.publicKey)).toBe(false)
  expect(isSigned(good, 'RS256', rsa.publicKey)).toBe(true)
})
