import type { RequestHandler, Response } from 'express'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import type { JtiUse } from '../database/queries/used-jtis.ts'
import type { Actor } from '../directory/actor.ts'
import { managementIdentifier } from '../directory/installation.ts'
import type { ManagementPermission } from '../directory/management-permissions.ts'
import { Refusal } from '../errors.ts'
import { contextOf, noteFacts } from '../http/request-context.ts'
import type { Nonces } from '../possession/nonces.ts'
import { looksLikeApiToken } from '../tokens/api-token.ts'
import type { Presentation } from '../tokens/binding.ts'
import type { Inspection } from '../tokens/inspect.ts'
import type { Presenter } from '../tokens/inspect-api-token.ts'
import { type PresentedTokenServices, readPresentedToken } from './presented-token.ts'

/** Who calls, and with which token. */
export type Caller = { actor: Actor; token: TokenRecord }

export type AuthenticationServices = PresentedTokenServices & {
  inspectToken: (token: string, presented: Presentation) => Promise<Inspection>
  inspectApiToken: (token: string, resourceServer: string, presenter: Presenter) => Promise<Inspection>
  /** The batched claim of what may be used once: whether this use is the first. */
  claimUse: (use: JtiUse) => Promise<boolean>
  nonces: Nonces
}

/**
 * Finds out who calls: RFC 6750 with the header alone, or RFC 9449. An access token must hold now, be meant for this
 * API and be presented by whoever it is bound to; an API token is good for all that its account may do here. A proof is
 * used up last, when all else holds. Throws Refusal `credentials_…`, `proof_…` or `token_invalid`.
 */
export function authenticate(options: AuthenticationServices): RequestHandler {
  const audience = managementIdentifier(options.issuer)
  return async (req, res, next) => {
    const { token: presentedToken, presented, proof } = readPresentedToken(req, options)
    const inspection =
      looksLikeApiToken(presentedToken) && presented.scheme === 'Bearer'
        ? await options.inspectApiToken(presentedToken, audience, contextOf(res))
        : await options.inspectToken(presentedToken, presented)
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
    if (proof !== undefined) {
      if (!(await options.claimUse(proof.use))) throw new Refusal('proof_replayed', { tokenId: token.id })
      res.setHeader('DPoP-Nonce', options.nonces.present())
    }
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
