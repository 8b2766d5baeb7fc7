import { isIP } from 'node:net'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import type { Clock } from '../clock.ts'
import type { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'

/** What everything that answers a request may know of where it came from. */
export type RequestContext = {
  /** The caller's `X-Request-Id` when it is well formed, else a new one; also in the answer. */
  requestId: string
  ip: string
  userAgent: string | null
}

/** http-contract: 1 to 64 of these. Anything else could forge log lines. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/
const MAX_USER_AGENT_LENGTH = 256

/** Gives every request its context, and every answer the headers that all of them bear. */
export function createRequestContext(options: { https: boolean; clock: Clock }): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const context: RequestContext = {
      requestId: acceptRequestId(req.get('x-request-id')) ?? newId('req', options.clock.now()),
      ip: addressOf(req),
      userAgent: cleanUserAgent(req.get('user-agent')),
    }
    res.locals.context = context
    res.setHeader('X-Request-Id', context.requestId)
    res.setHeader('X-Content-Type-Options', 'nosniff')
    res.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
    res.setHeader('Referrer-Policy', 'no-referrer')
    if (options.https) res.setHeader('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
    next()
  }
}

/** The context of the request that this response answers. */
export function contextOf(res: Response): RequestContext {
  return res.locals.context as RequestContext
}

/** Leaves the exact reason of a refusal for log and metric; the caller never sees it. */
export function noteRefusal(res: Response, refusal: Refusal): void {
  res.locals.refusal = refusal
}

/** The refusal that this response tells, if it tells one. */
export function notedRefusal(res: Response): Refusal | undefined {
  return res.locals.refusal as Refusal | undefined
}

/** Adds facts to the request's log line: whose request it was, what it made. Never a secret. */
export function noteFacts(res: Response, facts: Readonly<Record<string, unknown>>): void {
  res.locals.facts = { ...(res.locals.facts as object | undefined), ...facts }
}

/** The facts noted for the log line. */
export function notedFacts(res: Response): Readonly<Record<string, unknown>> {
  return (res.locals.facts as Readonly<Record<string, unknown>> | undefined) ?? {}
}

/** What a trusted proxy passes on may be what the client wrote: anything but an address counts for nothing. */
function addressOf(req: Request): string {
  const named = req.ip ?? ''
  return isIP(named) === 0 ? (req.socket.remoteAddress ?? '') : named
}

function acceptRequestId(given: string | undefined): string | undefined {
  return given !== undefined && REQUEST_ID.test(given) ? given : undefined
}

/** Headers may hold bytes that PostgreSQL or a terminal cannot take. */
function cleanUserAgent(given: string | undefined): string | null {
  if (given === undefined || given === '') return null
  return given.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_USER_AGENT_LENGTH)
}
