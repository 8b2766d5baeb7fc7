import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'
import { isFromTrustedProxy } from './request-context.ts'

/** `assertTls` for all that is mounted behind it. */
export const refusePlaintext: RequestHandler = (req, res, next) => {
  assertTls(req, isFromTrustedProxy(res))
  next()
}

/**
 * Refuses a request of which a trusted proxy says that it came without TLS (RFC 6749 §3.2). Refused, not
 * redirected: a redirect would hide that the client sends its assertions in clear. What anybody else says in
 * `X-Forwarded-Proto` means nothing. Throws Refusal `request_malformed`.
 */
export function assertTls({ headers }: IncomingMessage, isFromTrustedProxy: boolean): void {
  const told = headers['x-forwarded-proto']
  if (!isFromTrustedProxy || typeof told !== 'string') return
  const [first = ''] = told.split(',', 1)
  if (first.trim() === 'https') return
  throw new Refusal('request_malformed', { fact: 'sent without TLS' }, { hint: 'Use https.' })
}
