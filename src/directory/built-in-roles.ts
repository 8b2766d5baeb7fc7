import type { Trx } from '../database/connect.ts'
import { addRolePermissions, findBuiltInRole, insertRole } from '../database/queries/roles.ts'
import { newId } from '../ids.ts'
import { creatorOf, systemActor } from './actor.ts'
import { type AuditEntry, changesBetween, createdAs } from './audit.ts'
import { MANAGEMENT_PERMISSIONS, type ManagementPermission } from './management-permissions.ts'

/** The built-in role that makes an account an owner of its organization. */
export const OWNER_ROLE = 'owner'

type BuiltInRole = { name: string; description: string; permissions: readonly ManagementPermission[] }

const ALL = MANAGEMENT_PERMISSIONS.map((permission) => permission.name)
const READING = ALL.filter((name) => name.endsWith(':read'))

/** Roles of every organization. They have permissions of the management API alone. */
export const BUILT_IN_ROLES: readonly BuiltInRole[] = [
  { name: OWNER_ROLE, description: 'May do everything in the organization', permissions: ALL },
  {
    name: 'service_account_manager',
    description: 'Manages service accounts and their keys',
    permissions: [
      'service_accounts:read',
      'service_accounts:manage',
      'roles:read',
      'groups:read',
      'organizations:read',
    ],
  },
  { name: 'auditor', description: 'Reads everything, the audit trail included', permissions: READING },
  {
    name: 'viewer',
    description: 'Reads everything but the audit trail',
    permissions: READING.filter((name) => name !== 'audit:read'),
  },
]

/** Whether a role of an organization would pass for a built-in one, also by characters that nobody sees. Pure. */
export function isBuiltInName(name: string): boolean {
  const plain = name
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .trim()
    .toLowerCase()
  return BUILT_IN_ROLES.some((role) => role.name === plain)
}

/**
 * Makes the built-in roles, and adds to them what this version brings. Nothing is taken from them: a node of the
 * version before may be at work. Answers what was done, for the trail of the operator organization.
 */
export async function ensureBuiltInRoles(
  trx: Trx,
  options: { organizationId: string; managementServerId: string; now: number },
): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  for (const { name, description, permissions } of BUILT_IN_ROLES) {
    const existing = await findBuiltInRole(trx, name)
    const id = existing?.id ?? newId('role', options.now)
    if (existing === undefined) {
      const createdAt = new Date(options.now)
      const createdBy = creatorOf(systemActor)
      await insertRole(trx, { id, organizationId: null, name, description, createdAt, createdBy })
    }
    const wanted = permissions.map((permission) => ({
      resourceServerId: options.managementServerId,
      permission,
    }))
    const added = await addRolePermissions(trx, id, wanted)
    if (added.length === 0) continue
    const permissionsAdded = added.map((entry) => entry.permission).sort()
    entries.push({
      organizationId: options.organizationId,
      action: existing === undefined ? 'role.created' : 'role.updated',
      target: { id, kind: 'role', name },
      changes:
        existing === undefined
          ? createdAs({ name, description, permissions: permissionsAdded })
          : (changesBetween({ permissionsAdded: [] }, { permissionsAdded }) ?? null),
    })
  }
  return entries
}
