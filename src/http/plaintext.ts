import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'
import { isFromTrustedProxy } from './trusted-proxy.ts'

/**
 * Refuses a request of which a trusted proxy says that it came without TLS (RFC 6749 §3.2). Refused, not
 * redirected: a redirect would hide that the client sends its assertions in clear. What anybody else says in
 * `X-Forwarded-Proto` means nothing.
 */
export const refusePlaintext: RequestHandler = (req, _res, next) => {
  const isTold = req.get('x-forwarded-proto') !== undefined && isFromTrustedProxy(req)
  if (isTold && !req.secure) {
    throw new Refusal('request_malformed', { fact: 'sent without TLS' }, { hint: 'Use https.' })
  }
  next()
}
