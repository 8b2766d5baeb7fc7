import { X509Certificate } from 'node:crypto'
import { beforeAll, expect, test } from '@jest/globals'
import { Refusal } from '../../src/errors.ts'
import { thumbprintOfCertificate } from '../../src/possession/client-certificate.ts'
import { type ClientCertificate, createClientCertificate } from '../support/client-certificate.ts'

let certificate: ClientCertificate

beforeAll(async () => {
  certificate = await createClientCertificate()
})

test('the thumbprint of a certificate in a byte sequence is that of its DER', () => {
  expect(thumbprintOfCertificate(certificate.header)).toBe(certificate.thumbprint)
  expect(certificate.thumbprint).toMatch(/^[A-Za-z0-9_-]{43}$/)
})

/** Of a certificate whose DER is this. */
const sequence = (der: Uint8Array) => `:${Buffer.from(der).toString('base64')}:`

test.each<[string, (certificate: ClientCertificate) => string]>([
  ['nothing', () => ''],
  ['an empty byte sequence', () => '::'],
  ['no colons', ({ der }) => der.toString('base64')],
  ['one colon', ({ header }) => header.slice(1)],
  ['quotes in place of colons', ({ der }) => `"${der.toString('base64')}"`],
  ['white space within', ({ header }) => header.replace('M', ' M')],
  ['white space around it', ({ header }) => ` ${header}`],
  ['a parameter', ({ header }) => `${header};a=1`],
  ['two certificates in a list', ({ header }) => `${header}, ${header}`],
  ['base64url', ({ der }) => `:${der.toString('base64url')}-_:`],
  ['base64 without its padding', () => ':YQ:'],
  ['too much padding', ({ header }) => header.replace(/=*:$/, '===:')],
  ['base64 with bits that mean nothing', () => ':YR==:'],
  ['PEM', ({ der }) => new X509Certificate(der).toString()],
  ['PEM in a byte sequence', ({ der }) => sequence(Buffer.from(new X509Certificate(der).toString()))],
  ['PEM, escaped for a URL', ({ der }) => encodeURIComponent(new X509Certificate(der).toString())],
  ['octets after the certificate', ({ der }) => sequence(Buffer.concat([der, Buffer.of(0)]))],
  ['two certificates, one after the other', ({ der }) => sequence(Buffer.concat([der, der]))],
  ['a certificate that is cut off', ({ der }) => sequence(der.subarray(0, -1))],
  [
    'a public key',
    ({ der }) => sequence(new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' })),
  ],
  ['noise', () => sequence(Buffer.alloc(600, 0x30))],
  ['16 KiB', () => sequence(Buffer.alloc(12_000, 1))],
])('%s is refused', (_what, make) => {
  const read = () => thumbprintOfCertificate(make(certificate))
  expect(read).toThrow(Refusal)
  expect(read).toThrow('certificate_malformed')
})
