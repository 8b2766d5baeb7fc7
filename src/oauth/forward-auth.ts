import type { Request, RequestHandler } from 'express'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import { Refusal } from '../errors.ts'
import { parseBearer, schemeOf } from '../http/authorization.ts'
import { type Form, parseQuery, requireOne } from '../http/form.ts'
import { contextOf, noteFacts } from '../http/request-context.ts'
import { looksLikeApiToken } from '../tokens/api-token.ts'
import type { Inspection } from '../tokens/inspect.ts'
import { parseScope } from '../tokens/scope.ts'
import type { IntrospectionServices } from './introspection.ts'
import { UNSEEN } from './introspection-caller.ts'
import { noStore } from './wire.ts'

/** Where the proxy sends its secret: `Authorization` is taken, it bears the end client's token. */
const SECRET_HEADER = 'x-resource-server-secret'
const PARAMETERS = ['resource', 'scope']

export type ForwardAuthServices = Pick<
  IntrospectionServices,
  'findResourceServerBySecret' | 'inspectToken' | 'inspectApiToken' | 'throttle' | 'findCertificate'
>

/** What the proxy asks: whether the token is good at this resource server, and for at least this. */
type Question = { resource: string; neededPermissions: readonly string[] }

/**
 * Forward auth: a proxy in front of an API passes each request's `Authorization` on and looks at the status. The
 * proxy proves to be the resource server, then the end client's token is inspected as at introspection.
 *
 * A client can cause 401 and 403 alone, which proxies pass on as they are; everything else is the proxy's own
 * doing, or ours, and nginx makes a 500 of it. Nothing is remembered, here or (no-store) on the way.
 *
 * A token that is bound by DPoP is refused: the proof is for the API's URL, which only the API can judge. One that is
 * bound to a certificate is good with it, where the proxy is trusted and passes it on.
 */
export function createForwardAuthEndpoint(services: ForwardAuthServices, success: 200 | 204): RequestHandler {
  return async (req, res) => {
    const question = parseQuestion(req.url)
    const { ip } = contextOf(res)
    const resourceServerId = await services.throttle.guardCredentials(ip, () =>
      authenticateProxy(req, question.resource, services),
    )
    noteFacts(res, { callerId: resourceServerId })
    const presented = requireToken(req, question)
    const inspection = looksLikeApiToken(presented)
      ? await services.inspectApiToken(presented, resourceServerId, UNSEEN)
      : await services.inspectToken(presented, {
          scheme: 'Bearer',
          certificate: services.findCertificate(req),
        })
    await services.throttle.assertNotFishing(resourceServerId, inspection)

    const token = requireActive(inspection, resourceServerId, question)
    noteFacts(res, { tokenId: token.id })
    assertScope(token, question)
    noStore(res)
    res.status(success).set(toIdentity(token)).end()
  }
}

/**
 * Reads the query strictly: it stands in a configuration, where a misspelt or empty `scope` must not pass for
 * none. Throws Refusal `parameter_…`, `request_malformed` or `scope_malformed`.
 */
function parseQuestion(url: string): Question {
  const query = parseQuery(url)
  const unknown = [...query.keys()].find((name) => !PARAMETERS.includes(name))
  if (unknown !== undefined) {
    const hint = 'resource and scope are the only parameters. A token travels in Authorization.'
    throw new Refusal('request_malformed', { parameter: unknown.slice(0, 100) }, { hint })
  }
  const resource = requireOne(query, 'resource')
  return { resource, neededPermissions: parseScope(findScope(query)) ?? [] }
}

function findScope(query: Form): string | undefined {
  return query.has('scope') ? requireOne(query, 'scope') : undefined
}

/**
 * The id of the resource server whose secret the proxy sends. Not in `Authorization`, so without the challenge
 * that a client would take for its own (D1 of the conformance page): wrong secrets answer 400.
 * Throws Refusal `credentials_missing` or `credentials_invalid`.
 */
async function authenticateProxy(
  req: Request,
  resource: string,
  { findResourceServerBySecret }: ForwardAuthServices,
): Promise<string> {
  const secret = req.get(SECRET_HEADER)
  if (secret === undefined || secret === '') {
    throw new Refusal('credentials_missing', {}, { hint: `Send a secret in ${SECRET_HEADER}.` })
  }
  const resourceServerId = await findResourceServerBySecret({ identifier: resource }, secret)
  if (resourceServerId === undefined) throw new Refusal('credentials_invalid', { resource })
  return resourceServerId
}

/**
 * The token of the end client (RFC 6750 §2.1), of one header alone: which of two the API behind the proxy would
 * read is anybody's guess. Throws Refusal `token_missing` or `token_invalid`.
 */
function requireToken(req: Request, question: Question): string {
  const [authorization, ...more] = req.headersDistinct.authorization ?? []
  if (more.length > 0) throw refuseToken({ why: 'several Authorization headers' }, question)
  if (authorization === undefined || schemeOf(authorization) !== 'bearer') {
    throw new Refusal('token_missing', {}, toldOf(question))
  }
  try {
    return parseBearer(authorization)
  } catch (error) {
    throw error instanceof Refusal ? refuseToken({ why: 'malformed' }, question) : error
  }
}

/** Pure: the token, if it holds now and was issued for this resource server. Throws Refusal `token_invalid`. */
function requireActive(inspection: Inspection, resourceServerId: string, question: Question): TokenRecord {
  if (!inspection.active) throw refuseToken({ why: inspection.why, tokenId: inspection.tokenId }, question)
  const { token } = inspection
  if (token.resourceServerId === resourceServerId) return token
  throw refuseToken({ why: 'other_audience', tokenId: token.id, audience: token.audience }, question)
}

/** Pure: all that is needed, of what the token may do now. Throws Refusal `scope_insufficient`. */
function assertScope({ scope }: TokenRecord, question: Question): void {
  const missing = question.neededPermissions.filter((name) => !scope.includes(name))
  if (missing.length > 0) throw new Refusal('scope_insufficient', { missing, scope }, toldOf(question))
}

/**
 * What the API behind the proxy reads. All of them always, so that a proxy that copies them leaves none of the
 * client's own. For an end user `subject` is the user and `account` who acts for them; else they are the same.
 */
function toIdentity(token: TokenRecord): Record<string, string> {
  return {
    'X-Auth-Subject': token.subject,
    'X-Auth-Account': token.accountId,
    'X-Auth-Scopes': token.scope.join(' '),
    'X-Auth-Organization': token.organizationId,
    'X-Auth-Key': token.keyId,
  }
}

function refuseToken(detail: Record<string, unknown>, question: Question): Refusal {
  return new Refusal('token_invalid', detail, { scheme: 'bearer', ...toldOf(question) })
}

/** The challenge names what the request needs (RFC 6750 §3 `scope`). */
function toldOf({ neededPermissions }: Question) {
  return neededPermissions.length === 0 ? {} : { neededPermissions }
}
