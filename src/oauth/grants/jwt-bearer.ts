import type { VerifiedAssertion } from '../../assertion/verify.ts'
import { Refusal } from '../../errors.ts'
import { type Form, findAll, findOne, requireOne } from '../../http/form.ts'
import { assertWithoutGroups, limitToDelegation } from '../../tokens/delegation.ts'
import type { GrantDecision } from '../../tokens/issue.ts'
import { requestedScope } from '../../tokens/scope.ts'
import { resolveTarget } from '../../tokens/target.ts'

/** RFC 7523 §2.1. */
export const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

export type JwtBearerServices = { verifyAssertion: (assertion: string) => Promise<VerifiedAssertion> }

/**
 * Decides a token request that bears an assertion (RFC 7523 §2.1): who signed it, whom it is for, what it may
 * have. Client authentication is not needed. Throws Refusal.
 */
export async function decide(form: Form, services: JwtBearerServices): Promise<GrantDecision> {
  const assertion = requireOne(form, 'assertion')
  const formScope = findOne(form, 'scope')
  const { issuer, key, claims } = await services.verifyAssertion(assertion)
  const { accountId, accountName, organizationId } = issuer
  const sender = { accountId, accountName, organizationId, keyId: key.id }
  try {
    assertSameClient(findOne(form, 'client_id'), issuer)
    const scope = requestedScope(formScope, claims.scope)
    const isForAnother = claims.subject !== accountId
    if (isForAnother) assertWithoutGroups(scope)
    const access = isForAnother ? limitToDelegation(issuer.access, issuer.delegation) : issuer.access
    const target = resolveTarget(access, findAll(form, 'resource'), scope)
    return {
      ...sender,
      subject: claims.subject,
      roles: issuer.roles,
      target,
      jti: claims.jti,
      assertionExpiresAt: claims.expiresAt,
      tokenRequestsPerMinute: issuer.tokenRequestsPerMinute,
    }
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.reason, { ...sender, ...error.detail }, error.told)
    throw error
  }
}

/** RFC 7521 §4.2: a `client_id` without authentication only identifies, and must identify the issuer. */
function assertSameClient(clientId: string | undefined, issuer: VerifiedAssertion['issuer']): void {
  if (clientId === undefined || clientId === issuer.accountId || clientId === issuer.accountEmail) return
  throw new Refusal('client_mismatch', { received: clientId.slice(0, 320), expected: issuer.accountId })
}
