import type { RequestHandler } from 'express'
import { toNumericDate } from '../clock.ts'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import { findOne, parseForm, requireOne } from '../http/form.ts'
import { contextOf, noteFacts } from '../http/request-context.ts'
import { looksLikeApiToken } from '../tokens/api-token.ts'
import type { Inspection } from '../tokens/inspect.ts'
import type { Presenter } from '../tokens/inspect-api-token.ts'
import {
  authenticateIntrospectionCaller,
  type IntrospectionCallerServices,
  UNSEEN,
} from './introspection-caller.ts'
import type { IntrospectionThrottle } from './introspection-throttle.ts'
import { noStore } from './wire.ts'

export type IntrospectionServices = IntrospectionCallerServices & {
  issuer: string
  inspectApiToken: (token: string, resourceServerId: string, presenter: Presenter) => Promise<Inspection>
  throttle: IntrospectionThrottle
}

/**
 * The introspection endpoint (RFC 7662): authenticate the caller, find the token, tell the caller about it if
 * it is the token's audience. Every other answer is the same `{"active":false}`, and says no more.
 */
export function createIntrospectionEndpoint(services: IntrospectionServices): RequestHandler {
  return async (req, res) => {
    const form = parseForm(req.get('content-type'), req.body)
    const { ip } = contextOf(res)
    const caller = await services.throttle.guardCredentials(ip, () =>
      authenticateIntrospectionCaller(req.get('authorization'), form, services),
    )
    const token = requireOne(form, 'token')
    findOne(form, 'token_type_hint')
    const inspection = looksLikeApiToken(token)
      ? await services.inspectApiToken(token, caller.resourceServerId, UNSEEN)
      : await services.inspectToken(token)
    await services.throttle.assertNotFishing(caller.resourceServerId, inspection)

    const isAudience = inspection.active && inspection.token.resourceServerId === caller.resourceServerId
    noteFacts(res, { callerId: caller.resourceServerId, via: caller.via, ...toFacts(inspection, isAudience) })
    noStore(res)
    res.json(isAudience ? toActiveAnswer(inspection.token, services.issuer) : { active: false })
  }
}

/** The members of RFC 7662 §2.2 and of http-contract, times as whole seconds. */
function toActiveAnswer(token: TokenRecord, issuer: string) {
  const issuedAt = toNumericDate(token.issuedAt.getTime())
  return {
    active: true,
    scope: token.scope.join(' '),
    client_id: token.accountId,
    username: token.accountName,
    token_type: 'Bearer',
    // An API token may have no end; none is made up, so that nobody keeps the answer until then.
    ...(token.expiresAt !== null && { exp: toNumericDate(token.expiresAt.getTime()) }),
    iat: issuedAt,
    nbf: issuedAt,
    sub: token.subject,
    aud: token.audience,
    iss: issuer,
    jti: token.id,
    organization_id: token.organizationId,
    key_id: token.keyId,
    ...toStanding(token),
  }
}

/** Roles and groups are the account's own: of an end user, for whom it acts, they say nothing. */
function toStanding({ accountId, subject, roles, groups, groupsAdministrator }: TokenRecord) {
  return subject === accountId
    ? { roles, groups, groups_administrator: groupsAdministrator }
    : { roles: [], groups: [], groups_administrator: null, act: { sub: accountId } }
}

/** The operator's voice: why an answer was «inactive». */
function toFacts(inspection: Inspection, isAudience: boolean): Record<string, unknown> {
  if (!inspection.active) return { inactive: inspection.why, tokenId: inspection.tokenId }
  return { tokenId: inspection.token.id, ...(isAudience ? {} : { inactive: 'other_audience' }) }
}
