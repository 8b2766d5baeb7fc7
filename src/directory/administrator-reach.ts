import type { Db, Trx } from '../database/connect.ts'
import { lockAccount } from '../database/queries/accounts.ts'
import { type Administrator, findAdministrator } from '../database/queries/administrators.ts'
import type { OrganizationRow } from '../database/tables.ts'
import type { Actor } from './actor.ts'
import { getOrganization, notFound } from './reach.ts'
import type { AccountPath } from './service-account-reach.ts'

export type AdministratorOwner = { organization: OrganizationRow; administrator: Administrator }

/** The administrator, if the actor may see them; a deleted one is there for nobody. Throws `resource_not_found`. */
export async function getAdministrator(
  db: Db,
  actor: Actor,
  { organizationId, accountId }: AccountPath,
): Promise<AdministratorOwner> {
  const organization = await getOrganization(db, actor, organizationId)
  const administrator = await findAdministrator(db, organization.id, accountId)
  if (administrator === undefined || administrator.status === 'deleted') {
    throw notFound('administrator', accountId)
  }
  return { organization, administrator }
}

/** The same, held until the transaction ends: what is decided by it stays true. */
export async function lockAdministrator(
  trx: Trx,
  actor: Actor,
  path: AccountPath,
): Promise<AdministratorOwner> {
  const { administrator } = await getAdministrator(trx, actor, path)
  await lockAccount(trx, administrator.id)
  return getAdministrator(trx, actor, path)
}
