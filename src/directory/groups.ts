import {
  deleteGroup as deleteRow,
  findGroup,
  findGroupByName,
  type GroupMember,
  insertGroup,
  listGroupMembers,
  listGroupsById,
  lockGroup,
  listGroups as queryGroups,
  updateGroup as storeChanges,
} from '../database/queries/groups.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import type { GroupRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import { type Actor, creatorOf } from './actor.ts'
import {
  type AuditAction,
  type AuditEntry,
  changesBetween,
  createdAs,
  deletedAs,
  recordChanges,
} from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization, requireFound, requireReachable } from './reach.ts'
import type { DirectoryServices } from './services.ts'

export type GroupRequest = { name: string; description: string }

/** What can be asked of a group that exists; `undefined` stays as it is. */
export type GroupPatch = { name: string | undefined; description: string | undefined }

/** How a group is named: it is looked for in that organization alone. */
export type GroupPath = { organizationId: string; groupId: string }

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** An organization's groups, newest first. Throws Refusal `resource_not_found`. */
export async function listGroups(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<GroupRow>> {
  const { id } = await getOrganization(db, actor, organizationId)
  return readPage(request, (page) => queryGroups(db, id, page))
}

/** Those of the groups that are the organization's, newest first. Throws Refusal `resource_not_found` for the organization. */
export async function nameGroups(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  ids: readonly string[],
): Promise<GroupRow[]> {
  const { id } = await getOrganization(db, actor, organizationId)
  return listGroupsById(db, id, ids)
}

/** The group of that name, however it is capitalized. Throws Refusal `resource_not_found` for the organization. */
export async function findGroupNamed(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  name: string,
): Promise<GroupRow | undefined> {
  const { id } = await getOrganization(db, actor, organizationId)
  return findGroupByName(db, id, name)
}

/** One group. Throws Refusal `resource_not_found`. */
export async function getGroup(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  { organizationId, groupId }: GroupPath,
): Promise<GroupRow> {
  const { id } = await getOrganization(db, actor, organizationId)
  return requireFound(await findGroup(db, id, groupId), 'group', groupId)
}

/**
 * Creates a group. Nobody has access to it yet but groups administrators.
 * Throws Refusal `resource_not_found` or `name_taken`.
 */
export async function createGroup(
  { db, clock }: Services,
  actor: Actor,
  organizationId: string,
  { name, description }: GroupRequest,
): Promise<GroupRow> {
  return transact(db, async (trx) => {
    const now = clock.now()
    requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
    const id = newId('grp', now)
    const createdAt = new Date(now)
    const group = await unlessNameTaken(name, () =>
      insertGroup(trx, { id, organizationId, name, description, createdAt, createdBy: creatorOf(actor) }),
    )
    await recordChanges(trx, actor, now, [toEntry(group, 'group.created', createdAs(factsOf(group)))])
    return group
  })
}

/** Changes a group. Throws Refusal `resource_not_found` or `name_taken`. */
export async function updateGroup(
  { db, clock }: Services,
  actor: Actor,
  path: GroupPath,
  patch: GroupPatch,
): Promise<GroupRow> {
  return transact(db, async (trx) => {
    const now = clock.now()
    const organization = await getOrganization(trx, actor, path.organizationId)
    await lockGroup(trx, organization.id, path.groupId)
    const group = requireFound(await findGroup(trx, organization.id, path.groupId), 'group', path.groupId)
    const changes = { name: patch.name ?? group.name, description: patch.description ?? group.description }
    const differences = changesBetween(factsOf(group), factsOf({ ...group, ...changes }))
    if (differences === undefined) return group
    const changed = await unlessNameTaken(changes.name, () =>
      storeChanges(trx, group.id, changes, new Date(now)),
    )
    await recordChanges(trx, actor, now, [toEntry(changed, 'group.updated', differences)])
    return changed
  })
}

/**
 * Deletes a group, and with it all access to it: each account that had some has an event of its own. The second
 * time nothing happens. Throws Refusal `resource_not_found` for the organization.
 */
export async function deleteGroup({ db, clock }: Services, actor: Actor, path: GroupPath): Promise<void> {
  await transact(db, async (trx) => {
    const organization = await getOrganization(trx, actor, path.organizationId)
    await lockGroup(trx, organization.id, path.groupId)
    const group = await findGroup(trx, organization.id, path.groupId)
    if (group === undefined) return
    const members = await listGroupMembers(trx, group.id)
    await deleteRow(trx, group.id)
    await recordChanges(trx, actor, clock.now(), [
      toEntry(group, 'group.deleted', deletedAs(factsOf(group))),
      ...members.map((member) => toLoss(group, member)),
    ])
  })
}

async function unlessNameTaken<Result>(name: string, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    if (violatedUnique(error) !== 'groups_name') throw error
    throw new Refusal('name_taken', { name }, { hint: 'Another group has this name. Choose another.' })
  }
}

function toEntry(group: GroupRow, action: AuditAction, changes: AuditEntry['changes']): AuditEntry {
  const { id, name, organizationId } = group
  return { organizationId, action, target: { id, kind: 'group', name }, changes }
}

function toLoss({ id, organizationId }: GroupRow, member: GroupMember): AuditEntry {
  const { accountId, accountKind, accountName, groupAccess } = member
  const kept = groupAccess.filter((entry) => entry.groupId !== id)
  return {
    organizationId,
    action: `${accountKind}.updated`,
    target: { id: accountId, kind: accountKind, name: accountName },
    changes: changesBetween({ groupAccess }, { groupAccess: kept }) ?? null,
  }
}

function factsOf({ name, description }: GroupRow): Record<string, unknown> {
  return { name, description }
}
