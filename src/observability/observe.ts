import type { IncomingMessage } from 'node:http'
import type { Logger } from 'pino'
import { type Answer, contextOf, notedFacts, notedRefusal } from '../http/request-context.ts'
import type { EndpointName, Metrics } from './metrics.ts'

/** First match wins; paths are below the issuer's own. */
const ENDPOINTS: readonly (readonly [RegExp, EndpointName])[] = [
  [/^\/oauth\/token$/, 'token'],
  [/^\/oauth\/introspect$/, 'introspect'],
  [/^\/oauth\/revoke$/, 'revoke'],
  [/^\/oauth\/forward-auth(\/envoy)?$/, 'forward_auth'],
  [/^\/\.well-known\//, 'discovery'],
  [/^\/api\//, 'management'],
  [/^\/sign-in\//, 'sign_in'],
  [/^\/console(\/|$)/, 'console'],
  [/^\/docs/, 'docs'],
  [/^\/health\//, 'health'],
]
const MAX_LOGGED_PATH = 200
/** What of a refusal's facts is logged: callers choose how long some of them are. */
const MAX_LOGGED_TEXT = 500
const MAX_LOGGED_ITEMS = 20

/**
 * One log line and one observation per answered request. The line is the operator's half of a refusal: exact
 * reason and facts, under the request id that the caller has (promise 5). Queries are never logged: tokens
 * sent there by mistake must not reach a file.
 */
export function createObserver(options: {
  logger: Logger
  metrics: Metrics
  basePath: string
}): (req: IncomingMessage, res: Answer) => void {
  const { logger, metrics, basePath } = options
  return (req, res) => {
    const startedAt = performance.now()
    const method = req.method
    const [path = ''] = (req.url ?? '').split(/[?#]/, 1)
    res.once('close', () => {
      const endpoint = nameEndpoint(path.startsWith(basePath) ? path.slice(basePath.length) : path)
      const seconds = (performance.now() - startedAt) / 1000
      metrics.request(endpoint, statusOf(res), seconds)
      const refusal = notedRefusal(res)
      if (refusal !== undefined) metrics.refusal(endpoint, refusal.reason)
      const { deprecated } = notedFacts(res)
      if (typeof deprecated === 'string') metrics.deprecation(deprecated)
      const level = res.statusCode >= 500 ? 'error' : endpoint === 'health' ? 'debug' : 'info'
      if (!logger.isLevelEnabled(level)) return
      logger[level](describe(res, { method, path: path.slice(0, MAX_LOGGED_PATH), seconds }), 'request')
    })
  }
}

function describe(res: Answer, request: { method: string | undefined; path: string; seconds: number }) {
  const refusal = notedRefusal(res)
  return {
    ...contextOf(res),
    method: request.method,
    path: request.path,
    status: statusOf(res),
    milliseconds: Math.round(request.seconds * 10_000) / 10,
    ...notedFacts(res),
    ...(refusal && { reason: refusal.reason, detail: shorten(refusal.detail) }),
  }
}

/** Long texts and lists cut, at every depth; facts are made here, so there are few levels. */
function shorten(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_LOGGED_TEXT)
  if (Array.isArray(value)) return value.slice(0, MAX_LOGGED_ITEMS).map(shorten)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shorten(member)]))
}

/** The caller may be gone before the answer: then no status was ever seen. */
function statusOf(res: Answer): number | 'aborted' {
  return res.writableFinished ? res.statusCode : 'aborted'
}

/** What the metrics call the endpoint at a path below the issuer's own. */
export function nameEndpoint(path: string): EndpointName {
  return ENDPOINTS.find(([pattern]) => pattern.test(path))?.[1] ?? 'other'
}
