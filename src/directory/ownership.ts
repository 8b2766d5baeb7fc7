import type { Trx } from '../database/connect.ts'
import type { DirectPermission, ServiceAccount } from '../database/queries/accounts.ts'
import { lockOrganization } from '../database/queries/organizations.ts'
import { listActiveHolders } from '../database/queries/permissions.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import { keyOf } from './granting.ts'
import { OWNER_PERMISSION } from './installation.ts'

/**
 * Keeps the platform from being locked out: the last active account of the operator organization that may
 * manage organizations cannot be deleted or disabled, nor lose that permission (promise 8).
 * `after` is what the account will be; undefined when it goes.
 * Throws Refusal `built_in_protected`.
 */
export async function assertOwnerRemains(
  trx: Trx,
  organization: OrganizationRow,
  account: ServiceAccount,
  after: { status: ServiceAccount['status']; permissions: readonly DirectPermission[] } | undefined,
): Promise<void> {
  if (!organization.isOperator) return
  const builtIn = await findBuiltInResourceServer(trx)
  if (builtIn === undefined) return
  const ownership = { resourceServerId: builtIn.id, permission: OWNER_PERMISSION }
  const keepsIt =
    after?.status === 'active' && after.permissions.some((entry) => keyOf(entry) === keyOf(ownership))
  if (keepsIt) return
  // Two owners that leave at once must not both see the other one stay.
  await lockOrganization(trx, organization.id)
  const owners = await listActiveHolders(trx, organization.id, ownership)
  if (!owners.some((owner) => owner.id === account.id) || owners.length > 1) return
  throw new Refusal(
    'built_in_protected',
    { accountId: account.id, fact: 'last owner of the platform' },
    {
      hint: `This is the last account of the operator organization with ${OWNER_PERMISSION}. Give it to another one first.`,
    },
  )
}
