import { createHmac, createPrivateKey, hash, type KeyObject, randomBytes } from 'node:crypto'
import forge from 'node-forge'
import { type CertificateContent, selfSignedCertificate } from './certificate.ts'

/** What a PKCS#12 file is made of. `privateKeyPem` is PKCS#8, RSA, not encrypted. */
export type Pkcs12Content = CertificateContent & { privateKeyPem: string }

/** The entry's name, which client libraries of service accounts have looked for since the first of them. */
const FRIENDLY_NAME = 'privatekey'
/** 128 random bits: out of reach of any search, whatever the iteration counts. */
const PASSWORD_OCTETS = 16
/** OpenSSL's default, and what KeyObject.export uses for the key; PASSWORD_OCTETS says why no more. */
const MAC_ITERATIONS = 2048
const MAC_SALT_OCTETS = 16
/** The block of SHA-256 (`v` of RFC 7292 appendix B.2). */
const HASH_BLOCK_OCTETS = 64
/** Purpose of derived material: a MAC key (`ID` of RFC 7292 appendix B.3). */
const PURPOSE_MAC_KEY = 3

/** RFC 7292 §4.2, RFC 2985 §5.5, RFC 5652 §4, NIST. */
const OID = {
  data: '1.2.840.113549.1.7.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
}

type Asn1 = forge.asn1.Asn1
const { Class, Type } = forge.asn1

/**
 * A PKCS#12 file (RFC 7292), base64: the key, encrypted by AES-256-CBC under PBKDF2, and a self-signed
 * certificate of it, with a SHA-256 MAC, all under a one-time password made here. OpenSSL 3 opens it
 * without its legacy provider. File and password are for the key's owner alone and are kept nowhere.
 *
 * forge only writes ASN.1 here. Its own PKCS#12 would encrypt and derive in JavaScript, tens of
 * milliseconds during which the event loop stands still, and would use SHA-1 for the MAC.
 */
export async function createPkcs12(content: Pkcs12Content): Promise<{ p12Base64: string; password: string }> {
  const key = createPrivateKey(content.privateKeyPem)
  const password = randomBytes(PASSWORD_OCTETS).toString('hex')
  const certificate = await selfSignedCertificate(key, content)
  const attributes = bagAttributes(certificate)
  const safe = toDer(
    sequence(
      data(sequence(certificateBag(certificate, attributes))),
      data(sequence(keyBag(encryptKey(key, password), attributes))),
    ),
  )
  const file = sequence(integer(3), dataOctets(safe), macData(safe, password))
  return { p12Base64: toDer(file).toString('base64'), password }
}

/** PKCS#8 EncryptedPrivateKeyInfo, made by OpenSSL: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256. */
function encryptKey(key: KeyObject, password: string): Buffer {
  return key.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: password })
}

/** Both bags bear the same `localKeyId`, by which readers know which certificate belongs to which key. */
function bagAttributes(certificate: Buffer): Asn1 {
  const localKeyId = hash('sha256', certificate, 'buffer')
  return set(
    sequence(oid(OID.friendlyName), set(bmpString(FRIENDLY_NAME))),
    sequence(oid(OID.localKeyId), set(octetString(localKeyId))),
  )
}

function certificateBag(certificate: Buffer, attributes: Asn1): Asn1 {
  const bag = sequence(oid(OID.x509Certificate), tagged(octetString(certificate)))
  return sequence(oid(OID.certificateBag), tagged(bag), attributes)
}

function keyBag(encryptedKey: Buffer, attributes: Asn1): Asn1 {
  const bag = forge.asn1.fromDer(encryptedKey.toString('binary'))
  return sequence(oid(OID.shroudedKeyBag), tagged(bag), attributes)
}

function macData(safe: Buffer, password: string): Asn1 {
  const salt = randomBytes(MAC_SALT_OCTETS)
  const mac = createHmac('sha256', deriveMacKey(password, salt)).update(safe).digest()
  const digestInfo = sequence(sequence(oid(OID.sha256), nothing()), octetString(mac))
  return sequence(digestInfo, octetString(salt), integer(MAC_ITERATIONS))
}

/** RFC 7292 appendix B.2 for the one case in which a single digest is all that is needed. */
function deriveMacKey(password: string, salt: Buffer): Buffer {
  // A BMPString with its terminator: UTF-16, big-endian (appendix B.1).
  const encodedPassword = Buffer.from(`${password}\0`, 'utf16le').swap16()
  let digest = Buffer.concat([
    Buffer.alloc(HASH_BLOCK_OCTETS, PURPOSE_MAC_KEY),
    repeatToBlocks(salt),
    repeatToBlocks(encodedPassword),
  ])
  for (let round = 0; round < MAC_ITERATIONS; round++) digest = hash('sha256', digest, 'buffer')
  return digest
}

function repeatToBlocks(octets: Buffer): Buffer {
  return Buffer.alloc(Math.ceil(octets.length / HASH_BLOCK_OCTETS) * HASH_BLOCK_OCTETS, octets)
}

/** PKCS#7 ContentInfo of type "data" (RFC 7292 §4). */
function data(content: Asn1): Asn1 {
  return dataOctets(toDer(content))
}

function dataOctets(content: Buffer): Asn1 {
  return sequence(oid(OID.data), tagged(octetString(content)))
}

function sequence(...members: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, members)
}

function set(...members: Asn1[]): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.SET, true, members)
}

/** [0] EXPLICIT */
function tagged(content: Asn1): Asn1 {
  return forge.asn1.create(Class.CONTEXT_SPECIFIC, 0, true, [content])
}

function oid(dotted: string): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.OID, false, forge.asn1.oidToDer(dotted).getBytes())
}

function octetString(octets: Buffer): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, octets.toString('binary'))
}

function bmpString(text: string): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.BMPSTRING, false, text)
}

function integer(value: number): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.INTEGER, false, forge.asn1.integerToDer(value).getBytes())
}

function nothing(): Asn1 {
  return forge.asn1.create(Class.UNIVERSAL, Type.NULL, false, '')
}

function toDer(value: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(value).getBytes(), 'binary')
}
