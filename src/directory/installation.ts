import type { Clock } from '../clock.ts'
import type { Db, Trx } from '../database/connect.ts'
import { setAccountAccess } from '../database/queries/access.ts'
import {
  findServiceAccountBySlug,
  insertServiceAccount,
  type ServiceAccount,
} from '../database/queries/accounts.ts'
import { lockInstallation } from '../database/queries/installation.ts'
import { findOperatorOrganization, insertOrganization } from '../database/queries/organizations.ts'
import { definePermissions, grantPermissions, listActiveHolders } from '../database/queries/permissions.ts'
import {
  findBuiltInResourceServer,
  insertResourceServer,
  type ResourceServer,
  updateResourceServer,
} from '../database/queries/resource-servers.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { OperatorError } from '../errors.ts'
import { emailOf, newId } from '../ids.ts'
import { creatorOf, systemActor } from './actor.ts'
import { changesBetween, createdAs, recordChanges } from './audit.ts'
import { ensureBuiltInRoles } from './built-in-roles.ts'
import { DEFAULT_ASSERTION_POLICY, DEFAULT_SETTINGS, DEFAULT_TOKENS } from './defaults.ts'
import { MANAGEMENT_PERMISSIONS, OWNER_PERMISSION } from './management-permissions.ts'

/** Slug of the platform's own organization, and of its first account. */
export const OPERATOR_SLUG = 'operator'

/** What every installation has. */
export type Installation = {
  organization: OrganizationRow
  /** The service account `operator`; undefined once administrators have deleted it. */
  account: ServiceAccount | undefined
  managementResourceServerId: string
  /** Whether this call made it. */
  createdNow: boolean
}

/**
 * Makes what every installation has: the operator organization, the management API as a resource server, the
 * built-in roles, and the service account `operator` with every permission and all groups. Safe at every start and on nodes that start
 * together; where all is there, nothing changes.
 *
 * A later version's new permissions are defined here and given to `operator` and the built-in roles; one that was taken from it is
 * not given back, and an account that was deleted is not made again.
 * Throws OperatorError when another resource server has the management API's identifier.
 */
export async function ensureInstallation(
  db: Db,
  options: { issuer: string; clock: Clock },
): Promise<Installation> {
  try {
    return await transact(db, (trx) => install(trx, options.issuer, options.clock.now()))
  } catch (error) {
    if (violatedUnique(error) !== 'resource_servers_identifier_key') throw error
    throw new OperatorError(
      `Another resource server has the identifier ${managementIdentifier(options.issuer)}, which the management API ` +
        'needs under this issuer. Start with the former issuer and delete that resource server, or choose another issuer.',
    )
  }
}

/** The identifier of the management API: the audience of tokens for it. */
export function managementIdentifier(issuer: string): string {
  return `${issuer}/api/v1`
}

/** Where the management API's metadata is: the well-known segment stands before its path (RFC 9728 §3.1). */
export function managementMetadataUrl(issuer: string): string {
  const { origin, pathname } = new URL(managementIdentifier(issuer))
  return `${origin}/.well-known/oauth-protected-resource${pathname}`
}

async function install(trx: Trx, issuer: string, now: number): Promise<Installation> {
  await lockInstallation(trx)
  const existing = await findOperatorOrganization(trx)
  const organization = existing ?? (await createOperatorOrganization(trx, now))
  const server = await ensureManagementServer(trx, organization, issuer, now)
  if (existing === undefined) await createOperatorAccount(trx, organization, issuer, now)
  await defineNewPermissions(trx, organization, server.id, now)
  const made = { organizationId: organization.id, managementServerId: server.id, now }
  await recordChanges(trx, systemActor, now, await ensureBuiltInRoles(trx, made))
  return {
    organization,
    account: await findServiceAccountBySlug(trx, organization.id, OPERATOR_SLUG),
    managementResourceServerId: server.id,
    createdNow: existing === undefined,
  }
}

async function createOperatorOrganization(trx: Trx, now: number): Promise<OrganizationRow> {
  const organization = await insertOrganization(trx, {
    id: newId('org', now),
    slug: OPERATOR_SLUG,
    name: 'Operator',
    isOperator: true,
    settings: DEFAULT_SETTINGS,
    createdAt: new Date(now),
  })
  const { id, slug, name, settings, status } = organization
  await recordChanges(trx, systemActor, now, [
    {
      organizationId: id,
      action: 'organization.created',
      target: { id, kind: 'organization', name },
      changes: createdAs({ slug, name, status, settings }),
    },
  ])
  return organization
}

async function ensureManagementServer(
  trx: Trx,
  organization: OrganizationRow,
  issuer: string,
  now: number,
): Promise<ResourceServer> {
  const identifier = managementIdentifier(issuer)
  const existing = await findBuiltInResourceServer(trx)
  if (existing?.identifier === identifier) return existing
  if (existing !== undefined) return moveManagementServer(trx, organization, existing, identifier, now)

  const server = {
    id: newId('rs', now),
    identifier,
    name: 'Countersign management API',
    builtIn: true,
    ...DEFAULT_TOKENS,
    createdAt: new Date(now),
  }
  await insertResourceServer(trx, server)
  const { id, name, ...rest } = server
  await recordChanges(trx, systemActor, now, [
    {
      organizationId: organization.id,
      action: 'resource_server.created',
      target: { id, kind: 'resource_server', name },
      changes: createdAs({ identifier, name, builtIn: rest.builtIn, ...DEFAULT_TOKENS }),
    },
  ])
  return { ...server, updatedAt: server.createdAt, permissions: [] }
}

/** The configured issuer has changed, and with it the audience of tokens for the management API. */
async function moveManagementServer(
  trx: Trx,
  organization: OrganizationRow,
  server: ResourceServer,
  identifier: string,
  now: number,
): Promise<ResourceServer> {
  await updateResourceServer(trx, server.id, { identifier }, new Date(now))
  await recordChanges(trx, systemActor, now, [
    {
      organizationId: organization.id,
      action: 'resource_server.updated',
      target: { id: server.id, kind: 'resource_server', name: server.name },
      changes: changesBetween({ identifier: server.identifier }, { identifier }) ?? null,
    },
  ])
  return { ...server, identifier }
}

async function createOperatorAccount(
  trx: Trx,
  organization: OrganizationRow,
  issuer: string,
  now: number,
): Promise<void> {
  const account = {
    id: newId('acc', now),
    organizationId: organization.id,
    name: OPERATOR_SLUG,
    slug: OPERATOR_SLUG,
    email: emailOf(OPERATOR_SLUG, organization.slug, issuer),
    description: 'Owns this installation. Made at its first start.',
    ownerContact: null,
    // Its key file must work with existing client libraries, which leave `sub` out (conformance D7).
    assertionPolicy: { ...DEFAULT_ASSERTION_POLICY, profile: 'google' as const },
    tokenRequestsPerMinute: null,
    createdAt: new Date(now),
    createdBy: creatorOf(systemActor),
  }
  await insertServiceAccount(trx, account)
  // Nobody could give access to a group if nobody had any (promise 8).
  const groupsAdministrator = 'manager'
  await setAccountAccess(trx, account.id, { groupsAdministrator, delegation: null })
  const { id, name, slug, email, description, assertionPolicy } = account
  await recordChanges(trx, systemActor, now, [
    {
      organizationId: organization.id,
      action: 'service_account.created',
      target: { id, kind: 'service_account', name },
      changes: createdAs({ name, slug, email, description, assertionPolicy, groupsAdministrator }),
    },
  ])
}

/**
 * Defines the permissions that this version brings and gives them to `operator`, or to the platform's other
 * owners where that account is gone: nobody could be given a permission that nobody holds (promise 8).
 */
async function defineNewPermissions(
  trx: Trx,
  organization: OrganizationRow,
  resourceServerId: string,
  now: number,
): Promise<void> {
  const names = await definePermissions(trx, resourceServerId, MANAGEMENT_PERMISSIONS)
  if (names.length === 0) return
  const operator = await findServiceAccountBySlug(trx, organization.id, OPERATOR_SLUG)
  const owners =
    operator === undefined
      ? await listActiveHolders(trx, organization.id, { resourceServerId, permission: OWNER_PERMISSION })
      : [operator]
  const permissions = names.map((permission) => ({ resourceServerId, permission }))
  for (const owner of owners) await grantPermissions(trx, owner.id, permissions)

  const entry = (id: string, kind: 'resource_server' | 'service_account', name: string | null) => ({
    organizationId: organization.id,
    action: `${kind}.updated` as const,
    target: { id, kind, name },
    changes: changesBetween({ permissionsAdded: [] }, { permissionsAdded: names }) ?? null,
  })
  await recordChanges(trx, systemActor, now, [
    entry(resourceServerId, 'resource_server', null),
    ...owners.map((owner) => entry(owner.id, 'service_account', owner.name)),
  ])
}
