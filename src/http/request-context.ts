import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Clock } from '../clock.ts'
import type { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import type { TrustedProxies } from './trusted-proxy.ts'

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

/** An answer and what is known of its request. Those of Express are such. */
export type Answer = ServerResponse & { locals: Record<string, unknown> }

/** Gives a request its context, and its answer the headers that all of them bear. */
export function createRequestContext(options: {
  https: boolean
  clock: Clock
  trustedProxies: TrustedProxies
}): (req: IncomingMessage, res: ServerResponse) => asserts res is Answer {
  const { https, clock, trustedProxies } = options
  return (req, res) => {
    const context: RequestContext = {
      requestId: acceptRequestId(req.headers['x-request-id']) ?? newId('req', clock.now()),
      ip: toAddress(trustedProxies.addressOf(req), req),
      userAgent: cleanUserAgent(req.headers['user-agent']),
    }
    const locals = { context, isFromTrustedProxy: trustedProxies.sent(req) }
    Object.assign(res, { locals })
    res.setHeader('X-Request-Id', context.requestId)
    res.setHeader('X-Content-Type-Options', 'nosniff')
    res.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
    res.setHeader('Referrer-Policy', 'no-referrer')
    if (https) res.setHeader('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
  }
}

/** The context of the request that this response answers. */
export function contextOf(res: Answer): RequestContext {
  return res.locals.context as RequestContext
}

/** Whether the request came straight from a trusted proxy. */
export function isFromTrustedProxy(res: Answer): boolean {
  return res.locals.isFromTrustedProxy === true
}

/** Leaves the exact reason of a refusal for log and metric; the caller never sees it. */
export function noteRefusal(res: Answer, refusal: Refusal): void {
  res.locals.refusal = refusal
}

/** The refusal that this response tells, if it tells one. */
export function notedRefusal(res: Answer): Refusal | undefined {
  return res.locals.refusal as Refusal | undefined
}

/** Adds facts to the request's log line: whose request it was, what it made. Never a secret. */
export function noteFacts(res: Answer, facts: Readonly<Record<string, unknown>>): void {
  res.locals.facts = { ...(res.locals.facts as object | undefined), ...facts }
}

/** The facts noted for the log line. */
export function notedFacts(res: Answer): Readonly<Record<string, unknown>> {
  return (res.locals.facts as Readonly<Record<string, unknown>> | undefined) ?? {}
}

/** What a trusted proxy passes on may be what the client wrote: anything but an address counts for nothing. */
function toAddress(named: string, req: IncomingMessage): string {
  return isIP(named) === 0 ? (req.socket.remoteAddress ?? '') : named
}

function acceptRequestId(given: string | string[] | undefined): string | undefined {
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : undefined
}

/** Headers may hold bytes that PostgreSQL or a terminal cannot take. */
function cleanUserAgent(given: string | undefined): string | null {
  if (given === undefined || given === '') return null
  return given.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_USER_AGENT_LENGTH)
}
