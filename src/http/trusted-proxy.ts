import type { Request } from 'express'

/** Whether a request came straight from a proxy that is configured as trusted, so that its headers are believed. */
export function isFromTrustedProxy({ app, socket }: Request): boolean {
  // What Express has made of `trust proxy`.
  const isTrusted: (address: string | undefined, hop: number) => boolean = app.get('trust proxy fn')
  return isTrusted(socket.remoteAddress, 0)
}
