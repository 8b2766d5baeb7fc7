import type { Access, DirectPermission, GroupAccess } from '../database/queries/access.ts'
import type { GroupAccessLevel } from '../database/tables.ts'
import type { AccessPatch } from '../directory/access.ts'

/** A permission as it stands in bodies. */
export type PermissionInput = { resource_server_id: string; permission: string }

/** The members of a body that say what an account may do; they are the same wherever an account is. */
export type AccessInput = {
  permissions?: PermissionInput[]
  role_ids?: string[]
  group_access?: { group_id: string; access: GroupAccessLevel }[]
  groups_administrator?: GroupAccessLevel | null
  delegation?: { subjects?: string[]; permissions?: PermissionInput[] } | null
}

/** Access as a body asks for it; members that it does not name stay undefined. */
export function toAccessPatch(input: AccessInput): AccessPatch {
  const { permissions, role_ids, group_access, groups_administrator, delegation } = input
  return {
    permissions: permissions && toPermissions(permissions),
    roleIds: role_ids,
    groupAccess: group_access?.map(({ group_id, access }): GroupAccess => ({ groupId: group_id, access })),
    groupsAdministrator: groups_administrator,
    delegation: delegation && {
      ...(delegation.subjects !== undefined && { subjects: delegation.subjects }),
      ...(delegation.permissions !== undefined && { permissions: toPermissions(delegation.permissions) }),
    },
  }
}

/** Permissions as a body lists them. */
export function toPermissions(input: readonly PermissionInput[]): DirectPermission[] {
  return input.map(({ resource_server_id, permission }) => ({
    resourceServerId: resource_server_id,
    permission,
  }))
}

/** An account's access as it is shown. */
export function presentAccess(access: Access) {
  const { permissions, roleIds, groupAccess, groupsAdministrator, delegation } = access
  return {
    role_ids: roleIds,
    permissions: presentPermissions(permissions),
    group_access: groupAccess.map((entry) => ({ group_id: entry.groupId, access: entry.access })),
    groups_administrator: groupsAdministrator,
    delegation: delegation && {
      subjects: delegation.subjects,
      permissions: presentPermissions(delegation.permissions),
    },
  }
}

/** Permissions as they are shown. */
export function presentPermissions(permissions: readonly DirectPermission[]) {
  return permissions.map(({ resourceServerId, permission }) => ({
    resource_server_id: resourceServerId,
    permission,
  }))
}
