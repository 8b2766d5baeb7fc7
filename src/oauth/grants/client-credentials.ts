import { Refusal } from '../../errors.ts'
import { findAll, findOne } from '../../http/form.ts'
import type { GrantDecision } from '../../tokens/issue.ts'
import { parseScope } from '../../tokens/scope.ts'
import { resolveTarget } from '../../tokens/target.ts'
import type { AuthenticatedClient } from '../client-authentication.ts'
import type { GrantRequest } from './index.ts'
import { decideFor } from './sender.ts'

/** RFC 6749 §4.4. */
export const grantType = 'client_credentials'

/**
 * Decides a token request of a client that acts for itself (RFC 6749 §4.4.2): its authentication is the grant. The
 * token hangs on the key that it authenticated with, and the `jti` of a client assertion is claimed by the grant
 * record. Throws Refusal.
 */
export async function decide({ form, client }: GrantRequest): Promise<GrantDecision> {
  const { account, keyId, assertion, told } = requireClient(client)
  const { accountId, accountName, organizationId } = account
  return decideFor({ accountId, accountName, organizationId, keyId }, () => ({
    subject: accountId,
    roles: account.roles,
    target: resolveTarget(account.access, findAll(form, 'resource'), parseScope(findOne(form, 'scope'))),
    assertion,
    told,
    tokenRequestsPerMinute: account.tokenRequestsPerMinute,
    requiresProof: account.assertionPolicy.requireDpop,
  }))
}

/** RFC 6749 §4.4: for confidential clients alone. */
function requireClient(client: AuthenticatedClient | undefined): AuthenticatedClient {
  if (client === undefined) throw new Refusal('credentials_missing')
  return client
}
