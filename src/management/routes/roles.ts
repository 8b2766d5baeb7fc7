import type { Role } from '../../database/queries/roles.ts'
import * as directory from '../../directory/roles.ts'
import { presentPermissions, toPermissions } from '../access.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

export async function listRoles(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listRoles(services, actor, organizationOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

export async function createRole(call: Call): Promise<Reply> {
  const { name, description, permissions } = call.body
  const organizationId = organizationOf(call)
  const role = await directory.createRole(call.services, call.actor, organizationId, {
    name,
    description: description ?? '',
    permissions: toPermissions(permissions ?? []),
  })
  return { status: 201, body: present(role), location: `/organizations/${organizationId}/roles/${role.id}` }
}

export async function getRole(call: Call): Promise<Reply> {
  return { status: 200, body: present(await directory.getRole(call.services, call.actor, roleOf(call))) }
}

export async function updateRole(call: Call): Promise<Reply> {
  const { name, description, permissions } = call.body
  const patch = { name, description, permissions: permissions && toPermissions(permissions) }
  const role = await directory.updateRole(call.services, call.actor, roleOf(call), patch)
  return { status: 200, body: present(role) }
}

export async function deleteRole(call: Call): Promise<Reply> {
  await directory.deleteRole(call.services, call.actor, roleOf(call))
  return { status: 204 }
}

function present(role: Role) {
  return {
    id: role.id,
    organization_id: role.organizationId,
    name: role.name,
    description: role.description,
    built_in: role.organizationId === null,
    permissions: presentPermissions(role.permissions),
    created_at: showTime(role.createdAt),
    created_by: role.createdBy,
    updated_at: showTime(role.updatedAt),
  }
}

function roleOf(call: Call): directory.RolePath {
  return { organizationId: organizationOf(call), roleId: call.params.role as string }
}
