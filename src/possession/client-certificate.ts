import { createHash, X509Certificate } from 'node:crypto'
import { Refusal } from '../errors.ts'

/** RFC 8941 §3.3.5: base64 between two colons, and nothing besides. */
const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/
/** A certificate with an RSA key of 8192 bits and a long chain of names stays well below. */
const MAX_HEADER_LENGTH = 12_288

/**
 * The thumbprint of the client certificate in a header of RFC 9440 §2.2, as `x5t#S256` (RFC 8705 §3.1): SHA-256 of
 * the DER, base64url. Whether the certificate is one to trust was for the proxy to say, at the handshake.
 * Throws Refusal `certificate_malformed` for what is not exactly one certificate in DER.
 */
export function thumbprintOfCertificate(header: string): string {
  if (header.length > MAX_HEADER_LENGTH) throw malformed('too long')
  const base64 = BYTE_SEQUENCE.exec(header)?.[1]
  if (base64 === undefined) throw malformed('not a byte sequence')
  const der = Buffer.from(base64, 'base64')
  if (der.toString('base64') !== base64) throw malformed('base64 is not canonical')
  if (!isCertificate(der)) throw malformed('not a certificate in DER')
  return createHash('sha256').update(der).digest('base64url')
}

/** Node takes PEM too, and more octets than the certificate has: then what it read is not what was sent. */
function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der).raw.equals(der)
  } catch {
    return false
  }
}

function malformed(fact: string): Refusal {
  return new Refusal('certificate_malformed', { fact })
}
