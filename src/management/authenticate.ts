import type { Request, RequestHandler, Response } from 'express'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import type { Actor } from '../directory/actor.ts'
import { managementIdentifier } from '../directory/installation.ts'
import type { ManagementPermission } from '../directory/management-permissions.ts'
import { Refusal } from '../errors.ts'
import { parseBearer, schemeOf } from '../http/authorization.ts'
import { parseForm } from '../http/form.ts'
import { contextOf, noteFacts } from '../http/request-context.ts'
import { looksLikeApiToken } from '../tokens/api-token.ts'
import type { Inspection } from '../tokens/inspect.ts'
import type { Presenter } from '../tokens/inspect-api-token.ts'

/** Who calls, and with which token. */
export type Caller = { actor: Actor; token: TokenRecord }

const FORM_TYPE = /^application\/x-www-form-urlencoded\b/i

/**
 * Finds out who calls: RFC 6750 with the header alone. An access token must hold now, and be meant for this API;
 * an API token is good for all that its account may do here. Throws Refusal `credentials_…` or `token_invalid`.
 */
export function authenticate(options: {
  issuer: string
  inspectToken: (token: string) => Promise<Inspection>
  inspectApiToken: (token: string, resourceServer: string, presenter: Presenter) => Promise<Inspection>
}): RequestHandler {
  const audience = managementIdentifier(options.issuer)
  return async (req, res, next) => {
    const presented = requireToken(req)
    const inspection = looksLikeApiToken(presented)
      ? await options.inspectApiToken(presented, audience, contextOf(res))
      : await options.inspectToken(presented)
    if (!inspection.active) {
      throw new Refusal('token_invalid', { why: inspection.why, tokenId: inspection.tokenId })
    }
    const { token } = inspection
    if (token.audience !== audience)
      throw new Refusal('token_invalid', {
        why: 'other_audience',
        tokenId: token.id,
        audience: token.audience,
      })
    assertActsForItself(token)
    res.locals.caller = { actor: toActor(token, res), token } satisfies Caller
    const { accountId, organizationId, keyId, id: tokenId } = token
    noteFacts(res, { accountId, organizationId, keyId, tokenId })
    next()
  }
}

/** End users do not administer: the trail would name the account for what somebody else did. */
function assertActsForItself(token: TokenRecord): void {
  if (token.subject === token.accountId) return
  throw new Refusal('token_invalid', { why: 'for_an_end_user', tokenId: token.id, subject: token.subject })
}

/** Lets only those on who have the permission. Throws Refusal `permission_missing`. */
export function requirePermission(permission: ManagementPermission): RequestHandler {
  return (_req, res, next) => {
    const { permissions } = callerOf(res).actor
    if (!permissions.includes(permission)) {
      throw new Refusal(
        'permission_missing',
        { needed: permission, held: permissions },
        { hint: `This call needs ${permission}.`, neededPermissions: [permission] },
      )
    }
    next()
  }
}

/** The caller that `authenticate` found. */
export function callerOf(res: Response): Caller {
  return res.locals.caller as Caller
}

/** RFC 6750 §2: one method only. A token in form or query is never read, so without a header there is none. */
function requireToken(req: Request): string {
  const header = req.get('authorization')
  if (header === undefined || schemeOf(header) !== 'bearer') throw new Refusal('credentials_missing')
  const token = parseBearer(header)
  if ('access_token' in req.query || isInForm(req)) throw new Refusal('credentials_ambiguous')
  return token
}

function isInForm(req: Request): boolean {
  const contentType = req.get('content-type')
  if (contentType === undefined || !FORM_TYPE.test(contentType)) return false
  return parseForm(contentType, req.body).has('access_token')
}

function toActor(token: TokenRecord, res: Response): Actor {
  const { requestId, ip, userAgent } = contextOf(res)
  return {
    accountId: token.accountId,
    kind: token.accountKind,
    name: token.accountName,
    organizationId: token.organizationId,
    isOperator: token.organizationIsOperator,
    permissions: token.scope.filter((name) => name !== GROUPS_SCOPE),
    request: { requestId, ip, userAgent },
  }
}
