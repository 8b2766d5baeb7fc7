import type { IncomingMessage } from 'node:http'
import proxyAddress from 'proxy-addr'

/** Which proxies are believed, and what they say. */
export type TrustedProxies = {
  /** Whether a request came straight from one of them, so that its headers are believed. */
  sent(req: IncomingMessage): boolean
  /** Where a request came from, by the address that the last of them passes on in `X-Forwarded-For`; unchecked. */
  addressOf(req: IncomingMessage): string
}

/** The proxies of these addresses and networks; `loopback`, `linklocal` and `uniquelocal` stand for theirs. */
export function createTrustedProxies(networks: readonly string[]): TrustedProxies {
  const isTrusted = proxyAddress.compile([...networks])
  return {
    sent: ({ socket }) => isTrusted(socket.remoteAddress ?? '', 0),
    addressOf: (req) => proxyAddress(req, isTrusted),
  }
}
