import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'

/**
 * Refuses a request of which a trusted proxy says that it came without TLS (RFC 6749 §3.2). Refused, not
 * redirected: a redirect would hide that the client sends its assertions in clear. What anybody else says in
 * `X-Forwarded-Proto` means nothing.
 */
export const refusePlaintext: RequestHandler = (req, _res, next) => {
  const isTrusted = req.app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean
  const isTold = req.get('x-forwarded-proto') !== undefined && isTrusted(req.socket.remoteAddress, 0)
  if (isTold && !req.secure) {
    throw new Refusal('request_malformed', { fact: 'sent without TLS' }, { hint: 'Use https.' })
  }
  next()
}
