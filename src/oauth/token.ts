import type { IncomingMessage } from 'node:http'
import { Refusal } from '../errors.ts'
import { type Form, readForm, requireOne } from '../http/form.ts'
import { type Answer, contextOf, noteFacts } from '../http/request-context.ts'
import type { Binding, GrantDecision, IssuedToken, RequestFacts } from '../tokens/issue.ts'
import {
  authenticateClient,
  type ClientAuthenticationServices,
  claimClientAssertion,
} from './client-authentication.ts'
import { GRANTS, type Grant, type GrantServices } from './grants/index.ts'
import { bindToken, readPossession, type SenderConstraintServices } from './sender-constraint.ts'
import { giveNonce, noStore, sendJson, showQuota } from './wire.ts'

export type TokenEndpointServices = GrantServices &
  ClientAuthenticationServices &
  SenderConstraintServices & {
    issueToken: (decision: GrantDecision, binding: Binding, request: RequestFacts) => Promise<IssuedToken>
  }

/**
 * The token endpoint (RFC 6749 §3.2): read form, see what the sender holds, authenticate client, let the grant
 * decide, bind, mint and record, respond. Refusals are thrown. Knows nothing of Express (docs/decisions/0032).
 */
export function createTokenEndpoint(services: TokenEndpointServices) {
  return async (req: IncomingMessage, res: Answer): Promise<void> => {
    assertNoBrowser(req)
    const form = await readForm(req, res)
    const possession = readPossession(req, services)
    const { authorization } = req.headers
    const client = await authenticateClient({ authorization, form, ip: contextOf(res).ip }, services)
    const grant = selectGrant(form)
    const decision = await grant.decide({ form, client }, services)
    const binding = bindToken(decision, possession)
    // Unless it is the grant itself, whose record claims it.
    if (client !== undefined && client.assertion !== decision.assertion)
      await claimClientAssertion(client, contextOf(res), services)
    const token = await services.issueToken(decision, binding, contextOf(res))

    noteFacts(res, {
      ...(client?.deprecated && { deprecated: client.deprecated }),
      accountId: decision.accountId,
      keyId: decision.keyId,
      tokenId: token.id,
      scope: token.scope,
      ...(binding.confirmation && { cnf: binding.confirmation }),
    })
    noStore(res)
    // The next proof can be made without asking first (RFC 9449 §8.2).
    if (possession.proof !== undefined) giveNonce(res, services.nonces.present())
    if (token.quota !== undefined) showQuota(res, token.quota)
    sendJson(res, 200, {
      access_token: token.accessToken,
      token_type: possession.proof === undefined ? 'Bearer' : 'DPoP',
      expires_in: token.expiresInSeconds,
      scope: token.scope,
    })
  }
}

/** A page that could send this request would hold a private key where every script on it can read it. */
function assertNoBrowser({ headers: { origin } }: IncomingMessage): void {
  if (origin !== undefined) throw new Refusal('origin_not_allowed', { origin: origin.slice(0, 200) })
}

/** RFC 6749 §4.5: exact and case-sensitive. */
function selectGrant(form: Form): Grant {
  const grantType = requireOne(form, 'grant_type')
  const grant = GRANTS.find((candidate) => candidate.grantType === grantType)
  if (grant === undefined) throw new Refusal('grant_type_unsupported', { grantType: grantType.slice(0, 200) })
  return grant
}
