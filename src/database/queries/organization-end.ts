import { sql, type Transaction } from 'kysely'
import type { Database } from '../tables.ts'

/** What went with an organization: ids, sorted. */
export type OrganizationEnd = { accountsDeleted: string[]; keysRevoked: string[] }

/**
 * Ends everything in an organization that is about to be deleted: accounts of both kinds with all that they were
 * given, their keys, sessions and credentials, roles, groups, the identity provider. What the trail speaks of
 * stays as a record. The tokens end by the account's generation.
 */
export async function endOrganizationContent(
  trx: Transaction<Database>,
  organizationId: string,
  now: Date,
): Promise<OrganizationEnd> {
  await lockContent(trx, organizationId)
  const accounts = trx.selectFrom('accounts').select('id').where('organizationId', '=', organizationId)
  const keys = await trx
    .updateTable('keys')
    .set({ status: 'revoked', tokenGeneration: sql<number>`token_generation + 1`, updatedAt: now })
    .where('accountId', 'in', accounts)
    .where('status', '!=', 'revoked')
    .returning('id')
    .execute()
  for (const table of OF_ACCOUNTS) await trx.deleteFrom(table).where('accountId', 'in', accounts).execute()
  for (const table of OF_ORGANIZATIONS) {
    await trx.deleteFrom(table).where('organizationId', '=', organizationId).execute()
  }
  const deleted = await trx
    .updateTable('accounts')
    .set({
      status: 'deleted',
      groupsAdministrator: null,
      delegation: null,
      tokenGeneration: sql<number>`token_generation + 1`,
      updatedAt: now,
    })
    .where('organizationId', '=', organizationId)
    .where('status', '!=', 'deleted')
    .returning('id')
    .execute()
  return { accountsDeleted: toSortedIds(deleted), keysRevoked: toSortedIds(keys) }
}

/**
 * From the outside in, as everybody does who is at work in it: whoever holds some of it waits for nothing that is
 * held here. Accounts stay, so what refers to them (a session that begins) need not wait.
 */
async function lockContent(trx: Transaction<Database>, organizationId: string): Promise<void> {
  const rowsOf = (table: 'accounts' | 'roles' | 'groups') =>
    trx.selectFrom(table).select('id').where('organizationId', '=', organizationId).orderBy('id')
  await rowsOf('accounts').forNoKeyUpdate().execute()
  await rowsOf('roles').forUpdate().execute()
  await rowsOf('groups').forUpdate().execute()
}

/** In an order in which nothing refers to what is gone. Sessions stay for the trail, and end by the generation. */
const OF_ACCOUNTS = [
  'accountPermissions',
  'accountRoles',
  'accountGroups',
  'administratorCredentials',
  'recoveryCodes',
  'invitations',
  'openidIdentities',
] as const
const OF_ORGANIZATIONS = ['roles', 'groups', 'identityProviders'] as const

function toSortedIds(rows: readonly { id: string }[]): string[] {
  return rows.map((row) => row.id).sort()
}
