import { type ErrorRequestHandler, type RequestHandler, type Response, Router } from 'express'
import { OPENID_REQUEST_SECONDS } from '../authentication/openid-sign-in.ts'
import { Refusal } from '../errors.ts'
import { openidCookie, sessionCookie } from '../http/cookies.ts'
import { toRefusal } from '../http/fault.ts'
import { parseBody, readBody } from '../http/json-body.ts'
import { allowOnly } from '../http/methods.ts'
import { refusePlaintext } from '../http/plaintext.ts'
import { INTERNAL_ERROR, sendProblem } from '../http/problem.ts'
import { contextOf, noteFacts, noteRefusal } from '../http/request-context.ts'
import { requireSameOrigin } from '../http/same-origin.ts'
import type { Tarpit } from '../http/tarpit.ts'
import { createValidation } from '../http/validation.ts'
import { toProblemType } from './problem-types.ts'
import type { Cookies, Route, SignInServices } from './route.ts'
import { explainMyself } from './routes/effective-permissions.ts'
import { acceptInvitation, readInvitation } from './routes/invitation.ts'
import { beginOpenid, finishOpenid } from './routes/openid.ts'
import { changePassword, giveSecondFactor, signIn } from './routes/password.ts'
import { confirmTotp, enrolTotp, removeTotp, replaceRecoveryCodes } from './routes/second-factor.ts'
import { getSession, signOut } from './routes/session.ts'
import { endOtherSessions, endSession, listSessions } from './routes/sessions.ts'

/** Where this front door is mounted, below the issuer's path. */
const ROOT = '/sign-in'

/** Everything that an administrator does to prove who they are. */
export const ROUTES: readonly Route[] = [
  ['POST', '/invitation', readInvitation],
  ['POST', '/invitation/accept', acceptInvitation],

  ['POST', '/password', signIn],
  ['POST', '/second-factor', giveSecondFactor],
  ['POST', '/openid', beginOpenid],
  ['GET', '/openid/callback/:org', finishOpenid],

  ['GET', '/session', getSession],
  ['DELETE', '/session', signOut],
  ['GET', '/sessions', listSessions],
  ['DELETE', '/sessions', endOtherSessions],
  ['DELETE', '/sessions/:ses', endSession],
  ['GET', '/effective-permissions', explainMyself],

  ['POST', '/password/change', changePassword],
  ['POST', '/totp', enrolTotp],
  ['POST', '/totp/confirm', confirmTotp],
  ['POST', '/totp/remove', removeTotp],
  ['POST', '/recovery-codes', replaceRecoveryCodes],
]

export type SignInOptions = SignInServices & {
  /** Also check our own answers against openapi.yaml; on in the tests. */
  validateResponses: boolean
  tarpit: Tarpit
  /** Called for every error that is not a refusal: a bug. */
  onBug: (error: unknown, res: Response) => void
}

/**
 * The sign-in endpoints, to be mounted at `/sign-in` below the issuer's path: JSON, for pages of our own origin.
 * The session is in a cookie; the management API does not take it.
 */
export function createSignInRouter(options: SignInOptions): Router {
  const { issuer } = options
  const router = Router({ caseSensitive: true, strict: true })
  const validate = createValidation({ ...options, path: ROOT })
  const cookies = { session: sessionCookie(issuer), openid: openidCookie(issuer, OPENID_REQUEST_SECONDS) }
  if (issuer.startsWith('https:')) router.use(refusePlaintext)
  for (const path of new Set(ROUTES.map(([, routePath]) => routePath))) {
    const route = router.route(path)
    const served = ROUTES.filter(([, routePath]) => routePath === path)
    for (const [method, , handle] of served) {
      const name = method.toLowerCase() as Lowercase<typeof method>
      route[name](requireSameOrigin(issuer), readBody, parseBody, validate, answer(options, cookies, handle))
    }
    route.all(allowOnly(...served.flatMap(([method]) => (method === 'GET' ? [method, 'HEAD'] : [method]))))
  }
  router.use((req) => {
    throw new Refusal('not_found', { path: req.path })
  })
  router.use(answerProblems(options))
  return router
}

function answer(services: SignInServices, cookies: Cookies, handle: Route[2]): RequestHandler {
  return async (req, res) => {
    const { requestId, ip, userAgent } = contextOf(res)
    const secret = cookies.session.read(req)
    const facts = { requestId, ip, userAgent }
    const reply = await handle({ services, cookies, secret, facts, req, res, body: req.body })
    res.setHeader('Cache-Control', 'no-store')
    res.status(reply.status)
    if (reply.status === 204) res.end()
    else if (reply.status === 303) res.location(reply.to).end()
    else if ('page' in reply) sendPage(res, reply.page)
    else res.json(reply.body)
  }
}

/** The one page of this front door has an empty icon of its own, so that browsers ask for none. */
function sendPage(res: Response, page: string): void {
  res.setHeader('Content-Security-Policy', "default-src 'none'; img-src data:; frame-ancestors 'none'")
  res.type('text/html').send(page)
}

function answerProblems({ issuer, tarpit, onBug }: SignInOptions): ErrorRequestHandler {
  return async (error: unknown, _req, res, _next) => {
    // What Express' router throws for a percent-sequence in a path that is not UTF-8: such a path names nothing.
    const refusal = error instanceof URIError ? new Refusal('not_found') : toRefusal(error)
    const type = refusal === undefined ? INTERNAL_ERROR : toProblemType(refusal.reason)
    if (type === INTERNAL_ERROR) onBug(error, res)
    if (refusal !== undefined) {
      noteRefusal(res, refusal)
      await tarpit(res, refusal)
      const { accountId } = refusal.detail
      if (accountId !== undefined) noteFacts(res, { accountId })
    }
    sendProblem(res, issuer, type, refusal)
  }
}
