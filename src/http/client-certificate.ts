import type { IncomingMessage } from 'node:http'
import type { TrustedProxies } from './trusted-proxy.ts'

/**
 * The header in which the proxy that ends TLS tells the client's certificate (RFC 9440 §2.4), as it stands there.
 * Undefined where there is none, where no such header is configured, and whenever the request did not come straight
 * from a trusted proxy: anybody else could write what they like (`name` in lower case).
 */
export function findCertificateHeader(
  req: IncomingMessage,
  name: string | undefined,
  trustedProxies: TrustedProxies,
): string | undefined {
  if (name === undefined || !trustedProxies.sent(req)) return undefined
  const value = req.headers[name]
  return typeof value === 'string' ? value : undefined
}
