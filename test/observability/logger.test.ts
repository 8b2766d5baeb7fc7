import { Writable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { createLogger } from '../../src/observability/logger.ts'

/** What a logger writes for these members: one JSON line. */
function write(members: Record<string, unknown>): string {
  let written = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  createLogger('info', stream).info(members, 'request')
  return written
}

const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhY2MifQ.c2lnbmF0dXJl'
const PEM = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n'

test.each<[string, string, string]>([
  ['a JWT', JWT, '[redacted]'],
  ['a JWT in a text', `is ${JWT}, not good`, 'is [redacted], not good'],
  ['a JWT in a URL', `https://h/?t=${JWT}&x=1`, 'https://h/?t=[redacted]&x=1'],
  ['a JWT at the beginning of a line', `is\n${JWT}\n`, 'is\n[redacted]\n'],
  ['a JWT that letters run into', `token_${JWT}`, 'token_[redacted]'],
  ['a JWT without a signature', 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJhIn0.', '[redacted]'],
  ['two JWTs', `${JWT} ${JWT}`, '[redacted] [redacted]'],
  ['a private key', `key: ${PEM}end`, 'key: [redacted]\nend'],
  ['an encrypted private key', PEM.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE'), '[redacted]\n'],
  ['a private key that is cut off', PEM.slice(0, 50), '[redacted]'],
  ['a private key in quotes', `"${PEM}"`, '"[redacted]\n"'],
  ['an access token', `got cst_${'a'.repeat(43)}`, 'got [redacted]'],
  ['a secret', `css_${'-'.repeat(43)} given`, '[redacted] given'],
])('%s is taken out of a line, wherever it stands', (_what, value, expected) => {
  expect(JSON.parse(write({ anything: value, last: 1 }))).toMatchObject({ anything: expected, last: 1 })
})

test('a text that only begins like a private key cannot hide the rest of its line, nor swallow the next', () => {
  const line = write({ userAgent: '-----BEGIN PRIVATE KEY-----"\\', reason: 'key_disabled' })
  expect(line.endsWith('\n')).toBe(true)
  expect(JSON.parse(line)).toMatchObject({ userAgent: '[redacted]', reason: 'key_disabled', msg: 'request' })
})

test.each(['eyJ', 'eyJ.', 'eyJa.', '-----BEGIN ', '-----BEGIN PRIVATE KEY-----', '-----END ', 'cst_', 'A '])(
  'a long line of «%s» is searched in no time',
  (part) => {
    const startedAt = performance.now()
    write({ text: part.repeat(Math.ceil(200_000 / part.length)) })
    expect(performance.now() - startedAt).toBeLessThan(500)
  },
)

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  ['at the top', { password: 'x' }, { password: '[redacted]' }],
  [
    'at any depth',
    { a: { b: { c: { client_secret: 'x' } } } },
    { a: { b: { c: { client_secret: '[redacted]' } } } },
  ],
  ['with quotes in it', { secret: 'a"b\\' }, { secret: '[redacted]' }],
  ['that is a list', { recovery_codes: ['a"]', 'b'] }, { recovery_codes: '[redacted]' }],
])('a secret by its name, %s, is taken out', (_what, members, expected) => {
  expect(JSON.parse(write({ ...members, last: 1 }))).toMatchObject({ ...expected, last: 1 })
})

test('a value that looks like a secret member stays one value', () => {
  const text = 'x","password":"y","level":"error'
  expect(JSON.parse(write({ userAgent: text }))).toMatchObject({ userAgent: text, level: 'info' })
})
