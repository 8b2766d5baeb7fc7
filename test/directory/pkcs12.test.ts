import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import forge from 'node-forge'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { createPkcs12 } from '../../src/directory/pkcs12.ts'

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const content = {
  privateKeyPem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  commonName: 'billing-sync@acme.id.example.com',
  notBefore: new Date('2026-11-21T09:30:00Z'),
  notAfter: new Date('2027-11-21T09:30:00Z'),
}

describe('certificate', () => {
  test('a self-signed certificate bears the key and validates with it', async () => {
    const certificate = new X509Certificate(await selfSignedCertificate(pair.privateKey, content))
    expect(certificate.verify(pair.publicKey)).toBe(true)
    expect(certificate.checkIssued(certificate)).toBe(true)
    expect(certificate.publicKey.equals(createPublicKey(pair.privateKey))).toBe(true)
    expect(certificate.subject).toBe('CN=billing-sync@acme.id.example.com')
    expect(certificate.validFromDate).toEqual(content.notBefore)
    expect(certificate.validToDate).toEqual(content.notAfter)
    expect(certificate.ca).toBe(false)
    expect(certificate.signatureAlgorithm).toBe('sha256WithRSAEncryption')
  })

  test('a certificate of a key without an expiry has none either', async () => {
    const der = await selfSignedCertificate(pair.privateKey, { ...content, notAfter: null })
    expect(new X509Certificate(der).validTo).toBe('Dec 31 23:59:59 9999 GMT')
  })

  test('two certificates of one key have different positive serial numbers', async () => {
    const numbers = await Promise.all(
      [1, 2].map(
        async () => new X509Certificate(await selfSignedCertificate(pair.privateKey, content)).serialNumber,
      ),
    )
    for (const number of numbers) expect(number).toMatch(/^[4-7][0-9A-F]{31}$/)
    expect(new Set(numbers).size).toBe(2)
  })

  test('a name may hold any letter', async () => {
    const der = await selfSignedCertificate(pair.privateKey, { ...content, commonName: 'Büro 東京' })
    expect(new X509Certificate(der).toLegacyObject().subject.CN).toBe('Büro 東京')
  })
})

describe('PKCS#12', () => {
  test('[key-gen] another implementation opens the file, checks its MAC and finds the key', async () => {
    const { p12Base64, password } = await createPkcs12(content)
    const asn1 = forge.asn1.fromDer(Buffer.from(p12Base64, 'base64').toString('binary'))
    const p12 = forge.pkcs12.pkcs12FromAsn1(asn1, true, password)
    const [bag] = p12.getBags({ friendlyName: 'privatekey', bagType: SHROUDED_KEY_BAG }).friendlyName ?? []
    const keyPem = forge.pki.privateKeyToPem(bag?.key as forge.pki.PrivateKey)
    expect(createPrivateKey(keyPem).equals(pair.privateKey)).toBe(true)
    expect(() => forge.pkcs12.pkcs12FromAsn1(asn1, true, `${password}x`)).toThrow(/MAC/)
  })

  test('every file has a password of its own, of 128 random bits', async () => {
    const files = await Promise.all([createPkcs12(content), createPkcs12(content)])
    for (const { password } of files) expect(password).toMatch(/^[0-9a-f]{32}$/)
    expect(new Set(files.map(({ password }) => password)).size).toBe(2)
  })

  const openssl = runs('openssl', ['version'])
  testWith(openssl, 'openssl')(
    'OpenSSL opens the file without its legacy provider, and the key inside is the given one',
    async () => {
      const { path, password } = await writePkcs12()
      const input = ['-in', path, '-passin', `pass:${password}`]
      const keyPem = run('openssl', ['pkcs12', ...input, '-nocerts', '-nodes'])
      expect(createPrivateKey(keyPem).equals(pair.privateKey)).toBe(true)
      const certificate = new X509Certificate(run('openssl', ['pkcs12', ...input, '-nokeys', '-clcerts']))
      expect(certificate.verify(pair.publicKey)).toBe(true)
      expect(() => run('openssl', ['pkcs12', '-in', path, '-passin', 'pass:wrong', '-nodes'])).toThrow()
    },
  )

  testWith(openssl, 'openssl')('the key is encrypted by AES-256 and the MAC is SHA-256', async () => {
    const { path, password } = await writePkcs12()
    const shown = run('sh', [
      '-c',
      `openssl pkcs12 -info -noout -in "$1" -passin "pass:$2" 2>&1`,
      'sh',
      path,
      password,
    ])
    expect(shown).toMatch(/Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration \d{4,}, PRF hmacWithSHA256/)
    expect(shown).toMatch(/MAC: sha256, Iteration \d{4,}/)
  })

  const keytool = runs('keytool', ['-help'])
  testWith(keytool, 'keytool')(
    "Java's keytool finds one entry, the key with its certificate",
    async () => {
      const { path, password } = await writePkcs12()
      const shown = run('keytool', [
        '-list',
        '-storetype',
        'PKCS12',
        '-keystore',
        path,
        '-storepass',
        password,
      ])
      expect(shown).toMatch(/privatekey, .*PrivateKeyEntry/)
    },
    60_000,
  )
})

const SHROUDED_KEY_BAG = '1.2.840.113549.1.12.10.1.2'
const folder = mkdtempSync(join(tmpdir(), 'countersign-pkcs12-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function writePkcs12(): Promise<{ path: string; password: string }> {
  const { p12Base64, password } = await createPkcs12(content)
  const path = join(folder, 'key.p12')
  writeFileSync(path, Buffer.from(p12Base64, 'base64'), { mode: 0o600 })
  return { path, password }
}

function run(command: string, parameters: string[]): string {
  return execFileSync(command, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function runs(command: string, parameters: string[]): boolean {
  try {
    run(command, parameters)
    return true
  } catch {
    return false
  }
}

function testWith(installed: boolean, command: string): typeof test.skip {
  if (!installed)
    console.warn(`${command} is not installed here, so its reading of PKCS#12 files is not tested`)
  return installed ? test : test.skip
}
