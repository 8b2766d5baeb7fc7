import type { RequestHandler } from 'express'

/** No source but our own, nothing inline, no eval, no string that becomes markup in the browser. */
const POLICY = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/**
 * The headers of pages, besides those that every answer has. `Referrer-Policy` is not `no-referrer`: browsers would
 * then send `Origin: null` with our own forms (Fetch §3.2), by which we know them. No path or query of ours
 * bears a secret, and other sites are told nothing.
 */
export const pageHeaders: RequestHandler = (_req, res, next) => {
  res.setHeader('Content-Security-Policy', POLICY)
  res.setHeader('Referrer-Policy', 'same-origin')
  res.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
  res.setHeader('Cross-Origin-Resource-Policy', 'same-origin')
  res.setHeader('Cache-Control', 'no-store')
  next()
}
