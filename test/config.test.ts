import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { describe, expect, test } from '@jest/globals'
import { parseConfig, SETTINGS } from '../src/config.ts'
import { OperatorError } from '../src/errors.ts'

test('an empty environment gives the embedded default on loopback', () => {
  expect(parseConfig({})).toMatchObject({
    production: false,
    port: 8080,
    host: '127.0.0.1',
    issuer: 'http://localhost:8080',
    database: { kind: 'embedded', dataDir: undefined },
    keysDir: './keys',
    migrate: false,
    logLevel: 'info',
    trustedProxies: [],
  })
})

test('the default issuer follows the port', () => {
  expect(parseConfig({ COUNTERSIGN_PORT: '9000' }).issuer).toBe('http://localhost:9000')
})

test('any free port needs an issuer, since nobody could guess it', () => {
  expect(() => parseConfig({ COUNTERSIGN_PORT: '0' })).toThrow(
    /has a fault:\n {2}COUNTERSIGN_ISSUER must be set when COUNTERSIGN_PORT is 0/,
  )
})

test.each([
  ['COUNTERSIGN_PORT', '-1', 'a port number from 0 to 65535'],
  ['COUNTERSIGN_PORT', '65536', 'a port number from 0 to 65535'],
  ['COUNTERSIGN_PORT', '80.5', 'a port number from 0 to 65535'],
  ['COUNTERSIGN_PORT', '0x50', 'a port number from 0 to 65535'],
  ['COUNTERSIGN_METRICS_PORT', ' ', 'a port number from 0 to 65535'],
  ['COUNTERSIGN_DATABASE_POOL_SIZE', '2', 'a number of connections from 3 to 200'],
  ['COUNTERSIGN_WORKERS', '0', 'a number of workers from 1 to 64'],
  ['COUNTERSIGN_WORKERS', 'two', 'a number of workers from 1 to 64'],
  ['COUNTERSIGN_GRANT_RECORD_RETENTION_DAYS', '1', 'a number of days from 2 to 36500'],
  ['COUNTERSIGN_AUDIT_RETENTION_DAYS', '99999', 'a number of days from 1 to 36500'],
])('%s=%s is one fault, which says what would do', (name, value, wanted) => {
  expect(() => parseConfig({ [name]: value })).toThrow(`has a fault:\n  ${name} must be ${wanted}`)
})

test('a worker for each core, four at most, but one alone beside the embedded database', () => {
  const external = { DATABASE_URL: 'postgresql://db.internal/countersign' }
  expect(parseConfig({}).workers).toBe(1)
  expect(parseConfig(external).workers).toBe(Math.min(availableParallelism(), 4))
  expect(parseConfig({ ...external, COUNTERSIGN_WORKERS: '12' }).workers).toBe(12)
})

test('workers that would want more connections than the embedded database has are refused', () => {
  const environment = { COUNTERSIGN_WORKERS: '4', COUNTERSIGN_DATABASE_POOL_SIZE: '51' }
  expect(() => parseConfig(environment)).toThrow('is 204; the embedded database has 200 connections')
  expect(parseConfig({ COUNTERSIGN_WORKERS: '4' }).workers).toBe(4)
})

test('an empty variable counts as not set', () => {
  expect(parseConfig({ DATABASE_URL: '', COUNTERSIGN_PORT: '' })).toMatchObject({
    port: 8080,
    database: { kind: 'embedded' },
  })
})

test('all faults are named at once', () => {
  const environment = {
    COUNTERSIGN_PORT: 'eighty',
    COUNTERSIGN_LOG_LEVEL: 'loud',
    COUNTERSIGN_PROT: '1',
    DATABASE_URL: 'mysql://x',
    COUNTERSIGN_KEY_ENCRYPTION_KEY: 'a',
    COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE: 'b',
  }
  expect(() => parseConfig(environment)).toThrow(OperatorError)
  expect(() => parseConfig(environment)).toThrow(
    /5 faults[\s\S]*COUNTERSIGN_PROT is not a setting[\s\S]*COUNTERSIGN_PORT[\s\S]*DATABASE_URL[\s\S]*COUNTERSIGN_LOG_LEVEL[\s\S]*both set/,
  )
})

test('the configuration cannot be changed after it was read', () => {
  expect(Object.isFrozen(parseConfig({}))).toBe(true)
})

describe('an issuer that is not a plain URL is refused', () => {
  test.each([
    ['foo', 'absolute URL'],
    ['ftp://id.example.com', 'https URL'],
    ['https://id.example.com?x=1', 'query'],
    ['https://id.example.com/?', 'query'],
    ['https://id.example.com#a', 'fragment'],
    ['https://id.example.com/', 'slash'],
    ['https://user:secret@id.example.com', 'user name'],
    ['https://ID.example.com', 'normal form, https://id.example.com'],
    ['https://id.example.com:443', 'normal form'],
  ])('[8414-2-1] %s', (issuer, reason) => {
    expect(() => parseConfig({ COUNTERSIGN_ISSUER: issuer })).toThrow(new RegExp(reason))
  })
})

test.each(['https://id.example.com', 'https://id.example.com/tenant', 'http://localhost:8080'])(
  '%s is an issuer',
  (issuer) => {
    expect(parseConfig({ COUNTERSIGN_ISSUER: issuer }).issuer).toBe(issuer)
  },
)

describe('in production', () => {
  const production = { NODE_ENV: 'production', DATABASE_URL: 'postgres://db/x' }

  test('[bis-1] an issuer must be set', () => {
    expect(() => parseConfig(production)).toThrow('COUNTERSIGN_ISSUER must be set')
  })

  test('[6749-3.2-16] an http issuer that is not loopback is refused', () => {
    expect(() => parseConfig({ ...production, COUNTERSIGN_ISSUER: 'http://id.example.com' })).toThrow(
      'must be https',
    )
  })

  test.each([
    'https://id.example.com',
    'http://localhost:8080',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
  ])('%s is accepted', (issuer) => {
    expect(parseConfig({ ...production, COUNTERSIGN_ISSUER: issuer }).issuer).toBe(issuer)
  })
})

test('proxies are addresses, subnets or Express’ names for them', () => {
  expect(parseConfig({ COUNTERSIGN_TRUSTED_PROXIES: 'loopback, 10.0.0.0/8,::1' }).trustedProxies).toEqual([
    'loopback',
    '10.0.0.0/8',
    '::1',
  ])
  for (const wrong of [
    'proxy.example',
    'abc',
    '999.1.1.1',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '::/129',
    '1',
    '10.0.0.0/',
  ])
    expect(() => parseConfig({ COUNTERSIGN_TRUSTED_PROXIES: `loopback,${wrong}` })).toThrow(wrong)
})

test('the header of client certificates is off by default, and set only with proxies that are believed', () => {
  const header = { COUNTERSIGN_CLIENT_CERTIFICATE_HEADER: 'Client-Cert' }
  expect(parseConfig({}).clientCertificateHeader).toBeUndefined()
  expect(() => parseConfig(header)).toThrow('COUNTERSIGN_TRUSTED_PROXIES is not')
  const proxies = { COUNTERSIGN_TRUSTED_PROXIES: 'loopback' }
  expect(parseConfig({ ...header, ...proxies }).clientCertificateHeader).toBe('client-cert')
  for (const wrong of ['Client Cert', 'Client-Cert:', '-x', 'x'.repeat(65)])
    expect(() => parseConfig({ ...proxies, COUNTERSIGN_CLIENT_CERTIFICATE_HEADER: wrong })).toThrow(
      'must be the name of a header',
    )
})

test('every setting is documented', () => {
  const page = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
  expect(Object.keys(SETTINGS).filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([])
})
