import type { IncomingMessage } from 'node:http'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import type { Issuer } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { findOne, readForm, requireOne } from '../http/form.ts'
import { type Answer, contextOf, noteFacts, type RequestContext } from '../http/request-context.ts'
import { keyIdOfApiToken } from '../tokens/api-token.ts'
import type { LocatedToken } from '../tokens/inspect.ts'
import {
  type AuthenticatedClient,
  authenticateClient,
  CLIENT_METHODS,
  type ClientAuthenticationServices,
  type ClientRequest,
  claimClientAssertion,
} from './client-authentication.ts'
import type { IntrospectionThrottle } from './introspection-throttle.ts'
import { noStore } from './wire.ts'

/** Methods of `revocation_endpoint_auth_methods_supported`. */
export const REVOCATION_METHODS = CLIENT_METHODS

export type RevocationServices = ClientAuthenticationServices & {
  locateToken: (token: string) => Promise<LocatedToken>
  /** Ends a token of the account. When it resolves, every introspection says so. Answers whether there was one to end. */
  revokeToken: (account: Issuer, tokenId: string, request: RequestContext) => Promise<boolean>
  throttle: Pick<IntrospectionThrottle, 'assertNotFishing'>
}

/**
 * The revocation endpoint (RFC 7009): authenticate the client, find the token, end it if it is the client's own. What is
 * no token, or none any more, is answered like one that was ended just now: what the client wants is so (§2.2).
 */
export function createRevocationEndpoint(services: RevocationServices) {
  return async (req: IncomingMessage, res: Answer): Promise<void> => {
    const form = await readForm(req, res)
    const context = contextOf(res)
    const { authorization } = req.headers
    const client = await requireClient({ authorization, form, ip: context.ip }, context, services)
    noteFacts(res, { accountId: client.account.accountId, keyId: client.keyId })
    const token = requireOne(form, 'token')
    findOne(form, 'token_type_hint')
    assertRevocable(token)
    const located = await services.locateToken(token)
    if ('why' in located) {
      await services.throttle.assertNotFishing(client.account.accountId, { active: false, ...located })
      noteFacts(res, { revoked: false, inactive: located.why })
    } else {
      assertOwn(located.token, client)
      const revoked = await services.revokeToken(client.account, located.token.id, context)
      noteFacts(res, { revoked, tokenId: located.token.id })
    }
    noStore(res)
    res.end()
  }
}

/** RFC 7009 §2.1: first of all, so that nothing about the token is told to anybody else. */
async function requireClient(
  request: ClientRequest,
  context: RequestContext,
  services: RevocationServices,
): Promise<AuthenticatedClient> {
  const client = await authenticateClient(request, services)
  if (client === undefined) throw new Refusal('credentials_missing')
  await claimClientAssertion(client, context, services)
  return client
}

/** An answer of 200 would make believe that it is over with an API token, whose end is that of a key. */
function assertRevocable(token: string): void {
  if (keyIdOfApiToken(token) === undefined) return
  const hint = 'An API token is a key. Revoke it with the management API.'
  throw new Refusal('token_type_unsupported', {}, { hint })
}

/** RFC 7009 §2.1: a token that was issued to another client is refused, and its client told. */
function assertOwn({ id, accountId }: TokenRecord, { account }: AuthenticatedClient): void {
  if (accountId === account.accountId) return
  const { accountName, organizationId } = account
  throw new Refusal('token_not_own', {
    accountId: account.accountId,
    accountName,
    organizationId,
    tokenId: id,
    owner: accountId,
  })
}
