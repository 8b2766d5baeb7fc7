import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { keyFault } from './key-fault.ts'
import { assertNotPrivateDer } from './private-key.ts'

/** Linear in the text: a label is bounded, and a body ends at the first hyphen (RFC 7468 §2). */
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----/
const PEM_START = '-----BEGIN '
const BASE64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
/** What base64 in either alphabet looks like when its BEGIN and END lines are missing. */
const BARE_BASE64 = /^[A-Za-z0-9+/_=\s-]+$/
const OPENSSH_PUBLIC = /^\s*(?:ssh-|ecdsa-sha2-|sk-)|BEGIN SSH2 PUBLIC KEY/

const READERS: ReadonlyMap<string, { name: string; read: (der: Buffer) => KeyObject }> = new Map([
  ['PUBLIC KEY', { name: 'public key (SPKI)', read: (der) => readDer(der, 'spki') }],
  ['RSA PUBLIC KEY', { name: 'RSA public key (PKCS#1)', read: (der) => readDer(der, 'pkcs1') }],
  // A certificate is only a container here. Its dates, issuer and signature say nothing about who may use
  // the key: that is decided by the key's own state and expiry, so an expired or self-signed one will do.
  ['CERTIFICATE', { name: 'X.509 certificate', read: (der) => new X509Certificate(der).publicKey }],
])

/**
 * The key in a text with exactly one PEM block: SPKI, PKCS#1 public, or an X.509 certificate. Text around
 * the block and CRLF line ends are tolerated. The bytes are decoded here and handed on as DER, so that
 * what was checked is what is read.
 *
 * @throws Refusal `input_invalid`, or `private_key_given` when the bytes are a private key under any label
 */
export function keyFromPem(text: string): KeyObject {
  const { label, body } = requireOneBlock(text)
  const der = decodeBody(body)
  assertNotPrivateDer(der)
  const reader = READERS.get(label)
  if (reader === undefined) {
    throw keyFault(
      'the PEM block must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE, and it is of another kind',
    )
  }
  try {
    return reader.read(der)
  } catch {
    throw keyFault(`the PEM block cannot be read as ${reader.name}; it is damaged, cut short, or mislabelled`)
  }
}

/** Whether a PEM block begins somewhere in the text. */
export function hasPemBlock(text: string): boolean {
  return text.includes(PEM_START)
}

function requireOneBlock(text: string): { label: string; body: string } {
  const starts = text.split(PEM_START).length - 1
  if (starts === 0) throw faultWithoutBlock(text)
  if (starts > 1) throw keyFault(`must hold one PEM block, and ${starts} were given; send a single key`)
  const [, label, body] = PEM_BLOCK.exec(text) ?? []
  if (label === undefined || body === undefined) {
    throw keyFault('the PEM block is not closed by an END line that matches its BEGIN line')
  }
  return { label, body }
}

function faultWithoutBlock(text: string): Error {
  if (OPENSSH_PUBLIC.test(text)) {
    return keyFault('is in OpenSSH format; convert it with: ssh-keygen -e -m PKCS8 -f key.pub')
  }
  if (text.trim() === '') return keyFault('is empty; send a PEM public key, an X.509 certificate or a JWK')
  if (BARE_BASE64.test(text)) {
    assertNotPrivateDer(Buffer.from(text, 'base64'))
    return keyFault('has no BEGIN line; send the whole PEM text, from -----BEGIN to the END line')
  }
  return keyFault('must be a PEM public key, a PEM X.509 certificate or a JWK')
}

function decodeBody(body: string): Buffer {
  if (body.includes('\\')) {
    throw keyFault('the PEM block holds backslashes; its line breaks were escaped twice, send real ones')
  }
  const base64 = body.replace(/\s+/g, '')
  if (!BASE64.test(base64)) throw keyFault('the PEM block is not valid base64; it is damaged or cut short')
  return Buffer.from(base64, 'base64')
}

function readDer(der: Buffer, type: 'spki' | 'pkcs1'): KeyObject {
  return createPublicKey({ key: der, format: 'der', type })
}
