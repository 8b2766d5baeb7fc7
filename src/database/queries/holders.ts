import { type Kysely, sql } from 'kysely'
import type { AccountKind, AccountStatus, Database, GroupAccessLevel } from '../tables.ts'
import type { Page } from './page.ts'

/** An account, as far as a list of who has something tells of it. */
export type HolderRow = { id: string; kind: AccountKind; name: string; status: AccountStatus }

/** How many accounts of each kind. */
export type HolderCounts = { serviceAccounts: number; administrators: number }

/** How many accounts have access to a group by name. */
export type GroupAccessCounts = Record<GroupAccessLevel, number>

/** How many accounts of an organization have each of these roles; one that nobody has is not among them. */
export async function countHoldersOfRoles(
  db: Kysely<Database>,
  organizationId: string,
  roleIds: readonly string[],
): Promise<Map<string, HolderCounts>> {
  if (roleIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('accountRoles as h')
    .innerJoin('accounts as a', 'a.id', 'h.accountId')
    .select(['h.roleId', ...COUNTS])
    .where('h.roleId', 'in', roleIds)
    .where('a.organizationId', '=', organizationId)
    .groupBy('h.roleId')
    .execute()
  return new Map(rows.map(({ roleId, ...counts }) => [roleId, toNumbers(counts)]))
}

/** Accounts of an organization that have a role, newest first. */
export function listRoleHolders(
  db: Kysely<Database>,
  {
    organizationId,
    roleId,
    kinds,
  }: { organizationId: string; roleId: string; kinds: readonly AccountKind[] },
  page: Page,
): Promise<HolderRow[]> {
  if (kinds.length === 0) return Promise.resolve([])
  return accountsOf(db, organizationId, page)
    .where('a.kind', 'in', kinds)
    .where('a.id', 'in', (select) =>
      select.selectFrom('accountRoles').select('accountId').where('roleId', '=', roleId),
    )
    .execute()
}

/** How many accounts have access to each of these groups by name; one that nobody has is not among them. */
export async function countGroupAccess(
  db: Kysely<Database>,
  groupIds: readonly string[],
): Promise<Map<string, GroupAccessCounts>> {
  if (groupIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('accountGroups')
    .select('groupId')
    .select([
      sql<string>`count(*) filter (where access = 'viewer')`.as('viewer'),
      sql<string>`count(*) filter (where access = 'manager')`.as('manager'),
    ])
    .where('groupId', 'in', groupIds)
    .groupBy('groupId')
    .execute()
  return new Map(rows.map(({ groupId, ...counts }) => [groupId, toNumbers(counts)]))
}

/** Accounts that have access to a group by name, newest first. */
export function listGroupHolders(
  db: Kysely<Database>,
  {
    organizationId,
    groupId,
    kinds,
  }: { organizationId: string; groupId: string; kinds: readonly AccountKind[] },
  page: Page,
): Promise<(HolderRow & { access: GroupAccessLevel })[]> {
  if (kinds.length === 0) return Promise.resolve([])
  return accountsOf(db, organizationId, page)
    .innerJoin('accountGroups as g', 'g.accountId', 'a.id')
    .select('g.access')
    .where('g.groupId', '=', groupId)
    .where('a.kind', 'in', kinds)
    .execute()
}

/** Accounts of an organization that reach all groups of it, newest first. */
export function listGroupsAdministrators(
  db: Kysely<Database>,
  { organizationId, kinds }: { organizationId: string; kinds: readonly AccountKind[] },
  page: Page,
): Promise<(HolderRow & { access: GroupAccessLevel })[]> {
  if (kinds.length === 0) return Promise.resolve([])
  return accountsOf(db, organizationId, page)
    .select('a.groupsAdministrator as access')
    .where('a.groupsAdministrator', 'is not', null)
    .where('a.kind', 'in', kinds)
    .$narrowType<{ access: GroupAccessLevel }>()
    .execute()
}

/** How many accounts of an organization reach all groups of it. */
export async function countGroupsAdministrators(
  db: Kysely<Database>,
  organizationId: string,
): Promise<HolderCounts> {
  const counts = await db
    .selectFrom('accounts as a')
    .select(COUNTS)
    .where('a.organizationId', '=', organizationId)
    .where('a.groupsAdministrator', 'is not', null)
    .executeTakeFirstOrThrow()
  return toNumbers(counts)
}

const COUNTS = [
  sql<string>`count(*) filter (where a.kind = 'service_account')`.as('serviceAccounts'),
  sql<string>`count(*) filter (where a.kind = 'administrator')`.as('administrators'),
] as const

function accountsOf(db: Kysely<Database>, organizationId: string, page: Page) {
  return db
    .selectFrom('accounts as a')
    .select(['a.id', 'a.kind', 'a.name', 'a.status'])
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '!=', 'deleted')
    .$if(page.before !== undefined, (query) => query.where('a.id', '<', page.before ?? ''))
    .orderBy('a.id', 'desc')
    .limit(page.limit)
}

function toNumbers<Name extends string>(counts: Record<Name, string>): Record<Name, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)])) as Record<
    Name,
    number
  >
}
