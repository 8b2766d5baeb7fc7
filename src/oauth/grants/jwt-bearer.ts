import type { VerifiedGrant } from '../../assertion/grant.ts'
import { Refusal } from '../../errors.ts'
import { findAll, findOne, requireOne } from '../../http/form.ts'
import { assertWithoutGroups, limitToDelegation } from '../../tokens/delegation.ts'
import type { GrantDecision } from '../../tokens/issue.ts'
import { requestedScope } from '../../tokens/scope.ts'
import { resolveTarget, type Target } from '../../tokens/target.ts'
import type { AuthenticatedClient } from '../client-authentication.ts'
import type { GrantRequest } from './index.ts'
import { decideFor } from './sender.ts'

/** RFC 7523 §2.1. */
export const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

export type JwtBearerServices = { verifyGrant: (assertion: string) => Promise<VerifiedGrant> }

/**
 * Decides a token request that bears an assertion (RFC 7523 §2.1): who signed it, whom it is for, what it may
 * have. Client authentication is not needed; one that was given must be the same account's. Throws Refusal.
 */
export async function decide(
  { form, client }: GrantRequest,
  services: JwtBearerServices,
): Promise<GrantDecision> {
  const assertion = requireOne(form, 'assertion')
  const formScope = findOne(form, 'scope')
  const { issuer, key, claims } = await services.verifyGrant(assertion)
  const { accountId, accountName, organizationId } = issuer
  return decideFor({ accountId, accountName, organizationId, keyId: key.id }, () => {
    assertSameClient(findOne(form, 'client_id'), client, issuer)
    return {
      subject: claims.subject,
      roles: issuer.roles,
      target: findTarget(issuer, claims, findAll(form, 'resource'), formScope),
      assertion: { jti: claims.jti, expiresAt: claims.expiresAt },
      told: {},
      tokenRequestsPerMinute: issuer.tokenRequestsPerMinute,
      requiresProof: issuer.assertionPolicy.requireDpop,
    }
  })
}

/**
 * What a verified assertion gets, with the resources and the scope of its form. For an end user the account may do no
 * more than its delegation says. Throws Refusal `scope_…` or `target_…`.
 */
export function findTarget(
  issuer: VerifiedGrant['issuer'],
  { subject, scope: ceiling }: Pick<VerifiedGrant['claims'], 'subject' | 'scope'>,
  resources: readonly string[],
  formScope: string | undefined,
): Target {
  const scope = requestedScope(formScope, ceiling)
  if (subject === issuer.accountId) return resolveTarget(issuer.access, resources, scope)
  assertWithoutGroups(scope)
  return resolveTarget(limitToDelegation(issuer.access, issuer.delegation), resources, scope)
}

/**
 * RFC 7521 §4.2: a `client_id` without authentication only identifies, and must identify the issuer. With
 * authentication the client must be the issuer (http-contract: token request).
 */
function assertSameClient(
  clientId: string | undefined,
  client: AuthenticatedClient | undefined,
  issuer: VerifiedGrant['issuer'],
): void {
  const expected = issuer.accountId
  if (client !== undefined && client.account.accountId !== expected) {
    throw new Refusal('client_mismatch', { received: client.account.accountId, expected })
  }
  if (clientId === undefined || clientId === expected || clientId === issuer.accountEmail) return
  throw new Refusal('client_mismatch', { received: clientId.slice(0, 320), expected })
}
