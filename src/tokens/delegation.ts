import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import type { ResourceServerAccess } from '../database/queries/issuers.ts'
import type { Delegation } from '../database/tables.ts'
import { Refusal } from '../errors.ts'

/**
 * What an account may do for an end user: what its delegation lends, as far as the account has it itself. Resource
 * servers of which nothing is left are left out. Pure.
 */
export function limitToDelegation(
  access: readonly ResourceServerAccess[],
  delegation: Delegation | null,
): ResourceServerAccess[] {
  const isLent = (resourceServerId: string, permission: string) =>
    delegation?.permissions.some(
      (lent) => lent.resourceServerId === resourceServerId && lent.permission === permission,
    ) ?? false
  return access
    .map((entry) => ({ ...entry, permissions: entry.permissions.filter((name) => isLent(entry.id, name)) }))
    .filter((entry) => entry.permissions.length > 0)
}

/** The groups are the account's, not the end user's. Throws Refusal `scope_not_granted`. */
export function assertWithoutGroups(scope: readonly string[] | undefined): void {
  if (!scope?.includes(GROUPS_SCOPE)) return
  throw new Refusal(
    'scope_not_granted',
    { requested: scope },
    { hint: 'A token for an end user does not bear the groups of the account that acts.' },
  )
}
