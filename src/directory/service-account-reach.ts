import type { Db, Trx } from '../database/connect.ts'
import { findServiceAccount, lockAccount, type ServiceAccount } from '../database/queries/accounts.ts'
import type { OrganizationRow } from '../database/tables.ts'
import type { Actor } from './actor.ts'
import { getOrganization, notFound } from './reach.ts'

/** How an account is named: it is looked for in that organization alone. */
export type AccountPath = { organizationId: string; accountId: string }

export type AccountOwner = { organization: OrganizationRow; account: ServiceAccount }

/** The service account, if the actor may see it; a deleted one is there for nobody. Throws `resource_not_found`. */
export async function getServiceAccount(db: Db, actor: Actor, path: AccountPath): Promise<AccountOwner> {
  const organization = await getOrganization(db, actor, path.organizationId)
  const account = await findServiceAccount(db, organization.id, path.accountId)
  if (account === undefined || account.status === 'deleted') throw notFound('service account', path.accountId)
  return { organization, account }
}

/** The same, held until the transaction ends: what is decided by it stays true. */
export async function lockServiceAccount(trx: Trx, actor: Actor, path: AccountPath): Promise<AccountOwner> {
  const { account } = await getServiceAccount(trx, actor, path)
  await lockAccount(trx, account.id)
  return getServiceAccount(trx, actor, path)
}
