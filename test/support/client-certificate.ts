import { createHash, createPrivateKey } from 'node:crypto'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'
import { createKeyPair } from './jwt.ts'

/** A client's certificate, as a proxy that has seen it at the handshake passes it on. */
export type ClientCertificate = {
  der: Buffer
  /** RFC 9440 §2.2. */
  header: string
  /** RFC 8705 §3.1. */
  thumbprint: string
}

export async function createClientCertificate(commonName = 'billing-sync'): Promise<ClientCertificate> {
  const { privateKeyPem } = await createKeyPair('RS256')
  const der = await selfSignedCertificate(createPrivateKey(privateKeyPem), {
    commonName,
    notBefore: new Date('2026-01-01'),
    notAfter: null,
  })
  return {
    der,
    header: `:${der.toString('base64')}:`,
    thumbprint: createHash('sha256').update(der).digest('base64url'),
  }
}
