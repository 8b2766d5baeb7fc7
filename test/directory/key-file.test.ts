import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { buildKeyFile, parseKeyFile } from '../../src/directory/key-file.ts'
import { OperatorError } from '../../src/errors.ts'

const pem = { type: 'pkcs8', format: 'pem' } as const
const spki = { type: 'spki', format: 'pem' } as const
const { privateKey: privateKeyPem } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: pem,
  publicKeyEncoding: spki,
})
const { privateKey: ecPem } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: pem,
  publicKeyEncoding: spki,
})

const file = buildKeyFile({
  issuer: 'https://id.example.com',
  organization: { id: 'org_1', slug: 'acme' },
  account: { id: 'acc_1', email: 'billing-sync@acme.id.example.com' },
  key: { id: 'key_1', createdAt: new Date('2026-11-21T09:30:00Z'), expiresAt: null },
  privateKeyPem,
})

test('[key-gen] a key file has the members of the contract, in its order', () => {
  expect(Object.entries(file)).toEqual([
    ['type', 'service_account'],
    ['project_id', 'acme'],
    ['private_key_id', 'key_1'],
    ['private_key', privateKeyPem],
    ['client_email', 'billing-sync@acme.id.example.com'],
    ['client_id', 'acc_1'],
    ['auth_uri', 'https://id.example.com/oauth/authorize'],
    ['token_uri', 'https://id.example.com/oauth/token'],
    ['audience', 'https://id.example.com'],
    ['issuer', 'https://id.example.com'],
    ['organization_id', 'org_1'],
    ['created_at', '2026-11-21T09:30:00.000Z'],
    ['expires_at', null],
  ])
})

test('an expiry is written as RFC 3339 in UTC', () => {
  const expiring = buildKeyFile({
    issuer: 'http://localhost:8080',
    organization: { id: 'org_1', slug: 'acme' },
    account: { id: 'acc_1', email: 'a@acme.localhost' },
    key: { id: 'key_1', createdAt: new Date(0), expiresAt: new Date('2027-01-01T00:00:00+01:00') },
    privateKeyPem,
  })
  expect(expiring.expires_at).toBe('2026-12-31T23:00:00.000Z')
})

describe('reading', () => {
  test('a key file is read as it was written', () => {
    expect(parseKeyFile(JSON.stringify(file))).toEqual(file)
    expect(parseKeyFile(`\ufeff${JSON.stringify(file, null, 2)}\r\n`)).toEqual(file)
  })

  test('members of later versions are ignored, and a missing expiry means none', () => {
    const { expires_at, ...rest } = file
    expect(parseKeyFile(JSON.stringify({ ...rest, universe_domain: 'example.com' }))).toEqual(file)
    expect(expires_at).toBeNull()
  })

  test.each<[string, string, RegExp]>([
    ['an empty file', '', /is not JSON/],
    ['a PEM file', privateKeyPem, /is not JSON/],
    ['half a file', JSON.stringify(file).slice(0, 500), /is not JSON/],
    ['a list', '[]', /JSON object/],
    ['null', 'null', /JSON object/],
    ['text', '"service_account"', /JSON object/],
    ['a file without a type', changed({ type: undefined }), /"type": "service_account"/],
    ['credentials of a person', changed({ type: 'authorized_user' }), /"type": "service_account"/],
    ['one missing member', changed({ token_uri: undefined }), /lacks token_uri \(/],
    [
      'missing members, all named',
      changed({ issuer: '', client_id: 7, private_key_id: null }),
      /lacks private_key_id, client_id, issuer \(/,
    ],
    [
      'an address that is none',
      changed({ token_uri: 'id.example.com/token' }),
      /token_uri must be an http or https URL/,
    ],
    [
      'an address of another scheme',
      changed({ issuer: 'file:///etc/passwd' }),
      /issuer must be an http or https URL/,
    ],
    [
      'a damaged private key',
      changed({ private_key: privateKeyPem.replace('MII', 'MIX') }),
      /private_key cannot be read/,
    ],
    [
      'line breaks escaped twice',
      changed({ private_key: privateKeyPem.replaceAll('\n', '\\n') }),
      /escaped twice/,
    ],
    ['a private key of another type', changed({ private_key: ecPem }), /must be an RSA key/],
    ['an expiry that is no time', changed({ expires_at: 'soon' }), /expires_at must be a time or null/],
  ])('%s is refused with one line that says what to do and repeats no secret', (_what, text, words) => {
    const error = errorOf(() => parseKeyFile(text))
    expect(error).toBeInstanceOf(OperatorError)
    expect(error.message).toMatch(words)
    expect(error.message).toMatch(/generate a new key\.$/)
    expect(error.message).not.toMatch(/\n|MII|example\.com/)
    expect(error.cause).toBeUndefined()
  })
})

function changed(members: Record<string, unknown>): string {
  return JSON.stringify({ ...file, ...members })
}

function errorOf(action: () => unknown): Error {
  try {
    action()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was refused')
}
