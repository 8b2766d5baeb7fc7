import type { Db, Trx } from '../database/connect.ts'
import { lockOrganization } from '../database/queries/organizations.ts'
import { listActiveHolders } from '../database/queries/permissions.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import { listActiveRoleHolders } from '../database/queries/roles.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import { OWNER_ROLE } from './built-in-roles.ts'
import { OWNER_PERMISSION } from './management-permissions.ts'

/**
 * Makes a change that may cost somebody their authority, and sees to it that an organization which had an owner
 * has one afterwards (promise 8). An owner is an active account with the built-in role `owner`; in the operator
 * organization any active account that may manage organizations, since it can set everything else right.
 *
 * Everybody who makes such a change waits here, so two owners that remove each other at once do not both see the
 * other one stay. Accounts and roles are locked by `change`, after the organization: always in this order.
 * Throws Refusal `last_owner`; the transaction is then rolled back.
 */
export async function keepingAnOwner<Result>(
  trx: Trx,
  organization: OrganizationRow,
  change: () => Promise<Result>,
): Promise<Result> {
  await lockOrganization(trx, organization.id)
  const hadOwner = await hasOwner(trx, organization)
  const result = await change()
  if (!hadOwner || (await hasOwner(trx, organization))) return result
  const what = organization.isOperator ? OWNER_PERMISSION : `the role ${OWNER_ROLE}`
  throw new Refusal(
    'last_owner',
    { organizationId: organization.id },
    { hint: `This is the organization’s last active account with ${what}. Give that to another one first.` },
  )
}

/** Whether an account is the one owner that its organization has: it cannot be disabled, deleted or deprived of that. */
export async function isLastOwner(
  db: Db,
  organization: Pick<OrganizationRow, 'id' | 'isOperator'>,
  accountId: string,
): Promise<boolean> {
  const owners = await listOwners(db, organization, 2)
  return owners.length === 1 && owners[0] === accountId
}

async function hasOwner(trx: Trx, organization: OrganizationRow): Promise<boolean> {
  return (await listOwners(trx, organization, 1)).length > 0
}

async function listOwners(
  db: Db,
  organization: Pick<OrganizationRow, 'id' | 'isOperator'>,
  limit: number,
): Promise<string[]> {
  if (!organization.isOperator) return listActiveRoleHolders(db, organization.id, OWNER_ROLE, limit)
  const builtIn = await findBuiltInResourceServer(db)
  if (builtIn === undefined) return []
  const ownership = { resourceServerId: builtIn.id, permission: OWNER_PERMISSION }
  return (await listActiveHolders(db, organization.id, ownership)).map(({ id }) => id)
}
