import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type ErrorRequestHandler, type RequestHandler, type Response, Router } from 'express'
import { managementMetadataUrl } from '../directory/installation.ts'
import type { RefusalTrail } from '../directory/refusal-trail.ts'
import { Refusal } from '../errors.ts'
import { toRefusal } from '../http/fault.ts'
import { allowOnly } from '../http/methods.ts'
import { assertTls, refusePlaintext } from '../http/plaintext.ts'
import type { RefusalFloor } from '../http/refusal-floor.ts'
import { type Answer, contextOf, isFromTrustedProxy, noteRefusal } from '../http/request-context.ts'
import type { Tarpit } from '../http/tarpit.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import { JWKS_CACHE_SECONDS } from '../signing/lifecycle.ts'
import { createForwardAuthEndpoint } from './forward-auth.ts'
import { createIntrospectionEndpoint, type IntrospectionServices } from './introspection.ts'
import { type Endpoints, toMetadata, toResourceMetadata } from './metadata.ts'
import { createRevocationEndpoint, type RevocationServices } from './revocation.ts'
import { createTokenEndpoint, type TokenEndpointServices } from './token.ts'
import { sendOAuthError, sendOAuthRefusal } from './wire.ts'

export type OAuthServices = Omit<TokenEndpointServices, 'tokenEndpoint'> &
  IntrospectionServices &
  RevocationServices & {
    endpoints: Endpoints
    keyRing: KeyRing
    trail: RefusalTrail
    revocationTrail: RefusalTrail
    tarpit: Tarpit
    refusalFloor: RefusalFloor
    /** Called for every error that is not a refusal: a bug. */
    onBug: (error: unknown, res: Answer) => void
  }

/** Answers a request, whatever happens. */
export type Endpoint = (req: IncomingMessage, res: Answer) => Promise<void>

/**
 * The endpoints to which a form is posted, by their path below the issuer's: every token and every introspection goes
 * through them. They are complete without Express, so that they can be served in front of it as well as behind it
 * (docs/decisions/0032).
 */
export type FormEndpoints = {
  '/oauth/token': Endpoint
  '/oauth/introspect': Endpoint
  '/oauth/revoke': Endpoint
}

/** For the metadata and the public keys. */
const PUBLIC_CACHE_CONTROL = `public, max-age=${JWKS_CACHE_SECONDS}`

/** Builds the endpoints that stand by themselves: each checks and refuses as the router does for the others. */
export function createFormEndpoints(services: OAuthServices): FormEndpoints {
  const { tokenEndpoint, issuer } = services.endpoints
  const mustBeTls = issuer.startsWith('https:')
  return {
    '/oauth/token': complete(createTokenEndpoint({ ...services, tokenEndpoint }), services.trail),
    '/oauth/introspect': complete(createIntrospectionEndpoint(services)),
    '/oauth/revoke': complete(createRevocationEndpoint(services), services.revocationTrail),
  }

  function complete(answer: Endpoint, trail?: RefusalTrail): Endpoint {
    return async (req, res) => {
      const floor = services.refusalFloor()
      try {
        if (mustBeTls) assertTls(req, isFromTrustedProxy(res))
        await answer(req, res)
      } catch (error) {
        if (error instanceof Refusal) {
          trail?.note(error, contextOf(res))
          await services.tarpit(res, error)
          await floor
        }
        answerError(error, res, services.onBug)
      }
    }
  }
}

/** The OAuth endpoints, below the issuer's path. */
export function createOAuthRouter(services: OAuthServices, formEndpoints: FormEndpoints): Router {
  const router = Router({ caseSensitive: true, strict: true })

  if (services.endpoints.issuer.startsWith('https:')) router.use('/oauth', refusePlaintext)
  for (const [path, answer] of Object.entries(formEndpoints)) {
    router
      .route(path)
      .post((req, res) => answer(req, res))
      .all(allowOnly('POST'))
  }
  router
    .route('/oauth/forward-auth')
    // Refused at once, however often: there all users of an API come from the address of its proxy.
    .get(createForwardAuthEndpoint(services, 204))
    .all(allowOnly('GET', 'HEAD'))
  // Envoy asks with the method of the request at hand, and takes 200 alone for a yes.
  router.all('/oauth/forward-auth/envoy', createForwardAuthEndpoint(services, 200))
  router
    .route('/.well-known/jwks.json')
    .get(async (_req, res) => sendPublic(res, await services.keyRing.jwks(), 'application/jwk-set+json'))
    .all(allowOnly('GET', 'HEAD'))
  router.use('/oauth', refuseUnknown, answerErrors(services.onBug))
  router.use('/.well-known', answerErrors(services.onBug))
  return router
}

/**
 * The metadata documents, at the root of the host: RFC 8414 §3.1 and RFC 9728 §3.1 put the well-known segment before
 * the path of the issuer or resource, OpenID Connect Discovery after it.
 */
export function createMetadataRouter(
  services: Pick<OAuthServices, 'endpoints' | 'onBug'> & { takesCertificates: boolean },
): Router {
  const router = Router({ caseSensitive: true, strict: true })
  const { endpoints } = services
  const server = toMetadata(endpoints, services)
  const path = new URL(endpoints.issuer).pathname.replace(/\/$/, '')
  for (const [location, document] of [
    [`/.well-known/oauth-authorization-server${path}`, server],
    [`${path}/.well-known/openid-configuration`, server],
    [new URL(managementMetadataUrl(endpoints.issuer)).pathname, toResourceMetadata(endpoints)],
  ] as const) {
    router
      .route(location)
      .get((_req, res) => sendPublic(res, document, 'application/json'))
      .all(allowOnly('GET', 'HEAD'))
  }
  router.use('/.well-known', answerErrors(services.onBug))
  return router
}

/**
 * Public and the same for everybody: any origin may read it, and it may be kept for a while. Whoever has it already
 * is told so by 304 (RFC 9110 §13.1.2).
 */
function sendPublic(res: Response, document: unknown, type: string): void {
  const text = JSON.stringify(document)
  res.setHeader('Cache-Control', PUBLIC_CACHE_CONTROL)
  res.setHeader('Access-Control-Allow-Origin', '*')
  res.setHeader('ETag', `"${createHash('sha256').update(text).digest('base64url')}"`)
  res.type(type).send(text)
}

const refuseUnknown: RequestHandler = (req) => {
  throw new Refusal('not_found', { path: req.path })
}

function answerErrors(onBug: OAuthServices['onBug']): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => answerError(error, res, onBug)
}

function answerError(error: unknown, res: Answer, onBug: OAuthServices['onBug']): void {
  const refusal = toRefusal(error)
  if (refusal === undefined) {
    onBug(error, res)
    sendOAuthError(
      res,
      500,
      'server_error',
      'The server met an unexpected condition. Its log has it under the id in X-Request-Id.',
    )
    return
  }
  noteRefusal(res, refusal)
  sendOAuthRefusal(res, refusal)
}
