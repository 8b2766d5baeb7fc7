import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import { selfSignedCertificate } from '../../src/directory/certificate.ts'

/** TLS in front of a server, for programs that ask no other way. Its certificate is nobody's to trust. */
export async function startTls(url: string): Promise<{ url: string; stop(): void }> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const der = await selfSignedCertificate(createPrivateKey(key), {
    commonName: 'localhost',
    notBefore: new Date(0),
    notAfter: null,
  })
  const cert = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  const { hostname, port } = new URL(url)
  const server = createServer({ key, cert }, (socket) => {
    const behind = connect(Number(port), hostname)
    socket.pipe(behind).pipe(socket)
    for (const end of [socket, behind]) end.on('error', () => socket.destroy() && behind.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => server.close(),
  }
}
