import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'

const SAFE_METHODS = ['GET', 'HEAD']

/**
 * Lets a request that changes something through only from our own pages: a browser names the page's origin
 * (RFC 6454 §7.3), and no other site can make it name ours. Cookies that browsers send by themselves are
 * worth nothing to another site that way. A program that is no browser names the issuer's origin itself.
 * Throws Refusal `origin_not_allowed`.
 */
export function requireSameOrigin(issuer: string): RequestHandler {
  const { origin } = new URL(issuer)
  return (req, _res, next) => {
    const given = req.get('origin')
    if (SAFE_METHODS.includes(req.method) || given === origin) {
      next()
      return
    }
    throw new Refusal(
      'origin_not_allowed',
      { given: given?.slice(0, 200), expected: origin },
      { hint: `Send Origin: ${origin}. Requests from pages of other origins are refused.` },
    )
  }
}
