import { createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'
import forge from 'node-forge'

/** What a self-signed certificate says. */
export type CertificateContent = {
  /** Subject and issuer: the account's id or email. */
  commonName: string
  notBefore: Date
  /** null for a key that does not expire. */
  notAfter: Date | null
}

/** RFC 5280 §4.1.2.5: the value for "no well-defined expiration date". */
const NO_EXPIRY = new Date('9999-12-31T23:59:59Z')
/** RFC 5280 §4.1.2.2 allows 20 octets. */
const SERIAL_OCTETS = 16

/** sha256WithRSAEncryption, RFC 8017 appendix A.2.4. */
const SHA256_WITH_RSA = '1.2.840.113549.1.1.11'

/** forge's `valueTagClass` is the string's type, which the typings take for a class. */
const UTF8_STRING = forge.asn1.Type.UTF8 as unknown as forge.asn1.Class

/** The typings leave out the function with which forge's own sign() begins. */
const pki = forge.pki as typeof forge.pki & {
  getTBSCertificate(certificate: forge.pki.Certificate): forge.asn1.Asn1
}

const signAsync = promisify(sign)

/**
 * The self-signed X.509 v3 certificate of an RSA key, DER, signed with SHA-256 on the thread pool. It is a
 * container for clients that want one; nothing here trusts it.
 *
 * forge writes the structure and is never given the private key: its RSA is JavaScript, which is slow and
 * would hold the event loop up.
 */
export async function selfSignedCertificate(key: KeyObject, content: CertificateContent): Promise<Buffer> {
  const certificate = unsignedCertificate(key, content)
  certificate.signatureOid = SHA256_WITH_RSA
  certificate.siginfo.algorithmOid = SHA256_WITH_RSA
  certificate.tbsCertificate = pki.getTBSCertificate(certificate)
  const signature = await signAsync('sha256', toDer(certificate.tbsCertificate), key)
  certificate.signature = signature.toString('binary')
  return toDer(pki.certificateToAsn1(certificate))
}

function unsignedCertificate(key: KeyObject, content: CertificateContent): forge.pki.Certificate {
  const certificate = pki.createCertificate()
  certificate.publicKey = pki.publicKeyFromPem(
    createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
  )
  certificate.serialNumber = newSerialNumber()
  certificate.validity.notBefore = content.notBefore
  certificate.validity.notAfter = content.notAfter ?? NO_EXPIRY
  const name = [{ name: 'commonName', value: content.commonName, valueTagClass: UTF8_STRING }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  // No keyUsage: digitalSignature alone would forbid the certificate to vouch for itself.
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'subjectKeyIdentifier' },
  ])
  return certificate
}

/** Positive and not zero, without a leading zero octet. */
function newSerialNumber(): string {
  const octets = randomBytes(SERIAL_OCTETS)
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40
  return octets.toString('hex')
}

function toDer(value: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(value).getBytes(), 'binary')
}
