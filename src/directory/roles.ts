import type { Trx } from '../database/connect.ts'
import type { DirectPermission } from '../database/queries/access.ts'
import { listRoleNames } from '../database/queries/account-health.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import {
  addRolePermissions,
  countRoleHolders,
  deleteRole as deleteRow,
  findRole,
  insertRole,
  lockRole,
  listRoles as queryRoles,
  type Role,
  removeRolePermissions,
  updateRole as storeChanges,
} from '../database/queries/roles.ts'
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
import { isBuiltInName } from './built-in-roles.ts'
import { assertMayGive, difference, requireDefined, sortPermissions } from './granting.ts'
import { keepingAnOwner } from './ownership.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization, requireFound, requireReachable } from './reach.ts'
import type { DirectoryServices } from './services.ts'

export type RoleRequest = { name: string; description: string; permissions: readonly DirectPermission[] }

/** What can be asked of a role that exists; `undefined` stays as it is. */
export type RolePatch = {
  name: string | undefined
  description: string | undefined
  /** The whole list. */
  permissions: readonly DirectPermission[] | undefined
}

/** How a role is named: it is looked for among those of that organization and the built-in ones. */
export type RolePath = { organizationId: string; roleId: string }

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** The roles that accounts of an organization can have, newest first. Throws Refusal `resource_not_found`. */
export async function listRoles(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<Role>> {
  const { id } = await getOrganization(db, actor, organizationId)
  return readPage(request, (page) => queryRoles(db, id, page))
}

/** Names of the roles that these accounts have, by id. The accounts must be ones that the actor was given. */
export async function nameRoles(
  { db }: Pick<DirectoryServices, 'db'>,
  accounts: readonly { roleIds: readonly string[] }[],
): Promise<Map<string, string>> {
  const ids = [...new Set(accounts.flatMap(({ roleIds }) => roleIds))]
  return new Map((await listRoleNames(db, ids)).map(({ id, name }) => [id, name]))
}

/** One role. Throws Refusal `resource_not_found`. */
export async function getRole(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  { organizationId, roleId }: RolePath,
): Promise<Role> {
  const { id } = await getOrganization(db, actor, organizationId)
  return requireFound(await findRole(db, id, roleId), 'role', roleId)
}

/**
 * Creates a role of permissions that the actor has (promise 8).
 * Throws Refusal `resource_not_found`, `name_taken`, `input_invalid` or `permission_not_held`.
 */
export async function createRole(
  { db, clock }: Services,
  actor: Actor,
  organizationId: string,
  request: RoleRequest,
): Promise<Role> {
  return transact(db, async (trx) => {
    const now = clock.now()
    requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
    const { name, description, permissions } = request
    await requireMine(trx, actor, permissions, permissions)
    const id = newId('role', now)
    const createdAt = new Date(now)
    await unlessNameTaken(name, () =>
      insertRole(trx, { id, organizationId, name, description, createdAt, createdBy: creatorOf(actor) }),
    )
    await addRolePermissions(trx, id, permissions)
    const role = requireFound(await findRole(trx, organizationId, id), 'role', id)
    await recordChanges(trx, actor, now, [
      toEntry(role, organizationId, 'role.created', createdAs(factsOf(role))),
    ])
    return role
  })
}

/**
 * Changes a role. Everybody who has it gains and loses with it at once, so what is put into it must be the
 * actor's to give (promise 8); taking out needs no more than being here.
 * Throws Refusal `resource_not_found`, `built_in_protected`, `name_taken`, `input_invalid`,
 * `permission_not_held` or `last_owner`.
 */
export async function updateRole(
  { db, clock }: Services,
  actor: Actor,
  path: RolePath,
  patch: RolePatch,
): Promise<Role> {
  return transact(db, async (trx) => {
    const change = async () => {
      const role = await lockOwnRole(trx, actor, path, 'change')
      const asked = patch.permissions ?? role.permissions
      const after = {
        ...role,
        name: patch.name ?? role.name,
        description: patch.description ?? role.description,
        permissions: sortPermissions(asked),
      }
      return store(trx, actor, role, { asked, after, now: clock.now() })
    }
    if (patch.permissions === undefined) return change()
    return keepingAnOwner(trx, await getOrganization(trx, actor, path.organizationId), change)
  })
}

/**
 * Deletes a role that nobody has. The second time nothing happens.
 * Throws Refusal `resource_not_found` for the organization, `built_in_protected` or `role_in_use`.
 */
export async function deleteRole({ db, clock }: Services, actor: Actor, path: RolePath): Promise<void> {
  await transact(db, async (trx) => {
    const organization = await getOrganization(trx, actor, path.organizationId)
    if ((await findRole(trx, organization.id, path.roleId)) === undefined) return
    const role = await lockOwnRole(trx, actor, path, 'deletion')
    const holders = await countRoleHolders(trx, role.id)
    if (holders > 0) throw inUse(role.id, holders)
    await deleteRow(trx, role.id)
    const changes = deletedAs(factsOf(role))
    await recordChanges(trx, actor, clock.now(), [toEntry(role, organization.id, 'role.deleted', changes)])
  })
}

async function store(
  trx: Trx,
  actor: Actor,
  role: Role,
  { asked, after, now }: { asked: readonly DirectPermission[]; after: Role; now: number },
): Promise<Role> {
  const differences = changesBetween(factsOf(role), factsOf(after))
  if (differences === undefined) return role
  const added = difference(asked, role.permissions)
  await requireMine(trx, actor, added, asked)
  const { id, name, description } = after
  const organizationId = role.organizationId as string
  await unlessNameTaken(name, () => storeChanges(trx, id, { name, description }, new Date(now)))
  await removeRolePermissions(trx, id, difference(role.permissions, asked))
  await addRolePermissions(trx, id, added)
  await recordChanges(trx, actor, now, [toEntry(after, organizationId, 'role.updated', differences)])
  return requireFound(await findRole(trx, organizationId, id), 'role', id)
}

/** Permissions that are defined, and the actor's to give. */
async function requireMine(
  trx: Trx,
  actor: Actor,
  permissions: readonly DirectPermission[],
  asked: readonly DirectPermission[],
): Promise<void> {
  await requireDefined(trx, permissions, asked)
  await assertMayGive(trx, actor, {
    permissions,
    roleIds: [],
    groupAccess: [],
    groupsAdministrator: null,
  })
}

/** A role that the organization made itself, held until the transaction ends. */
async function lockOwnRole(
  trx: Trx,
  actor: Actor,
  { organizationId, roleId }: RolePath,
  purpose: 'change' | 'deletion',
): Promise<Role> {
  const organization = await getOrganization(trx, actor, organizationId)
  await lockRole(trx, organization.id, roleId, purpose)
  const role = requireFound(await findRole(trx, organization.id, roleId), 'role', roleId)
  if (role.organizationId !== null) return role
  throw new Refusal(
    'built_in_protected',
    { roleId },
    { hint: 'Built-in roles cannot be changed. Create one of your own.' },
  )
}

/** A name that reads like a built-in role's is taken too: resource servers see names. */
async function unlessNameTaken(name: string, write: () => Promise<void>): Promise<void> {
  const taken = new Refusal('name_taken', { name }, { hint: 'Another role has this name. Choose another.' })
  if (isBuiltInName(name)) throw taken
  try {
    await write()
  } catch (error) {
    throw violatedUnique(error) === 'roles_name' ? taken : error
  }
}

function inUse(roleId: string, holders: number): Refusal {
  const accounts = holders === 1 ? '1 account has' : `${holders} accounts have`
  return new Refusal(
    'role_in_use',
    { roleId, holders },
    { hint: `${accounts} this role. Take it away first.` },
  )
}

function toEntry(
  { id, name }: Role,
  organizationId: string,
  action: AuditAction,
  changes: AuditEntry['changes'],
): AuditEntry {
  return { organizationId, action, target: { id, kind: 'role', name }, changes }
}

function factsOf({ name, description, permissions }: Role): Record<string, unknown> {
  return { name, description, permissions }
}
