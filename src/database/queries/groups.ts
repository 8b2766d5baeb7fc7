import { type Kysely, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import type { AccountKind, Database, GroupAccessLevel, GroupRow } from '../tables.ts'
import { type GroupAccess, groupAccessColumn } from './access.ts'
import type { Page } from './page.ts'

/** The scope that asks for an account's groups in its token. Not a permission: every account may ask for it. */
export const GROUPS_SCOPE = 'groups'

/** A group as a token tells of it. */
export type GroupClaim = { id: string; name: string; access: GroupAccessLevel }

/** How an account stands to the groups of its organization. */
export type GroupMembership = { groups: GroupClaim[]; groupsAdministrator: GroupAccessLevel | null }

export type NewGroup = {
  id: string
  organizationId: string
  name: string
  description: string
  createdAt: Date
  createdBy: string
}

/** What of a group can change. */
export type GroupChanges = { name?: string; description?: string }

/** Somebody who has access to a group: all the access that they have. */
export type GroupMember = {
  accountId: string
  accountKind: AccountKind
  accountName: string
  groupAccess: GroupAccess[]
}

/** The group with that id in that organization. */
export function findGroup(
  db: Kysely<Database>,
  organizationId: string,
  id: string,
): Promise<GroupRow | undefined> {
  return db
    .selectFrom('groups')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** The group of that name in that organization, by the index that keeps names apart. */
export function findGroupByName(
  db: Kysely<Database>,
  organizationId: string,
  name: string,
): Promise<GroupRow | undefined> {
  return db
    .selectFrom('groups')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where(sql`lower(name)`, '=', sql`lower(${name})`)
    .executeTakeFirst()
}

/** An organization's groups. */
export function listGroups(db: Kysely<Database>, organizationId: string, page: Page): Promise<GroupRow[]> {
  return db
    .selectFrom('groups')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** Those of the groups that are the organization's. */
export function listGroupsById(
  db: Kysely<Database>,
  organizationId: string,
  ids: readonly string[],
): Promise<GroupRow[]> {
  if (ids.length === 0) return Promise.resolve([])
  return db
    .selectFrom('groups')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .where('id', 'in', ids)
    .orderBy('id', 'desc')
    .execute()
}

/** Which of the groups are the organization's; none goes until the transaction ends. */
export async function shareGroups(
  trx: Transaction<Database>,
  organizationId: string,
  ids: readonly string[],
): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await trx
    .selectFrom('groups')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('id', 'in', ids)
    .orderBy('id')
    .forKeyShare()
    .execute()
  return rows.map((row) => row.id)
}

/** Holds an organization's group until the transaction ends, so that nobody gets access to it meanwhile. */
export async function lockGroup(
  trx: Transaction<Database>,
  organizationId: string,
  id: string,
): Promise<void> {
  await trx
    .selectFrom('groups')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('id', '=', id)
    .forUpdate()
    .execute()
}

/** Everybody who has access to a group by name. Groups administrators are not among them. */
export function listGroupMembers(db: Kysely<Database>, groupId: string): Promise<GroupMember[]> {
  return db
    .selectFrom('accounts as a')
    .select(['a.id as accountId', 'a.kind as accountKind', 'a.name as accountName', groupAccessColumn])
    .where('a.id', 'in', (select) =>
      select.selectFrom('accountGroups').select('accountId').where('groupId', '=', groupId),
    )
    .execute()
}

/** Stores a group. Violates `groups_name` when the organization has one of that name. */
export function insertGroup(trx: Transaction<Database>, group: NewGroup): Promise<GroupRow> {
  return trx
    .insertInto('groups')
    .values({ ...group, updatedAt: group.createdAt })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Changes a group. Violates `groups_name` like `insertGroup`. */
export function updateGroup(
  trx: Transaction<Database>,
  id: string,
  changes: GroupChanges,
  now: Date,
): Promise<GroupRow> {
  return trx
    .updateTable('groups')
    .set({ ...changes, updatedAt: now })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Removes a group, and with it all access to it. */
export async function deleteGroup(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('groups').where('id', '=', id).execute()
}

const FIND_MEMBERSHIPS = `
  select q.ordinal::int as ordinal, a.groups_administrator, m.groups
  from unnest($1::text[]) with ordinality as q (account_id, ordinal)
  join accounts a on a.id = q.account_id
  left join lateral (
    select json_agg(json_build_object('id', c.group_id, 'name', g.name, 'access', c.access)
                    order by c.group_id collate "C") as groups
    from (select * from account_groups where account_id = q.account_id order by group_id limit $2) c
    join groups g on g.id = c.group_id
  ) m on true`

/** Reads, for tokens that shall bear them, at most `limit` groups of each account, in the order of the accounts. */
export async function findMemberships(
  pool: pg.Pool,
  accountIds: readonly string[],
  limit: number,
): Promise<GroupMembership[]> {
  const { rows } = await pool.query<{
    ordinal: number
    groups_administrator: GroupAccessLevel | null
    groups: GroupClaim[] | null
  }>({ name: 'find-memberships', text: FIND_MEMBERSHIPS, values: [accountIds, limit] })
  const memberships: GroupMembership[] = accountIds.map(() => ({ groups: [], groupsAdministrator: null }))
  for (const row of rows) {
    memberships[row.ordinal - 1] = {
      groups: row.groups ?? [],
      groupsAdministrator: row.groups_administrator,
    }
  }
  return memberships
}
