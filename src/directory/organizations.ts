import type { Trx } from '../database/connect.ts'
import { endTokensOfApiTokens, listApiTokenHolders } from '../database/queries/keys.ts'
import { endOrganizationContent } from '../database/queries/organization-end.ts'
import {
  hasActiveAccounts,
  insertOrganization,
  lockOrganization,
  type OrganizationChanges,
  listOrganizations as queryOrganizations,
  updateOrganization as storeChanges,
} from '../database/queries/organizations.ts'
import type { OrganizationRow, OrganizationSettings, OrganizationStatus } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Actor } from './actor.ts'
import { type AuditAction, changesBetween, createdAs, recordChanges } from './audit.ts'
import { DEFAULT_SETTINGS } from './defaults.ts'
import { assertMayMakeKeys } from './granting.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { notFound, requireOperator, requireReachable } from './reach.ts'
import type { DirectoryServices } from './services.ts'

export type OrganizationRequest = { slug: string; name: string; settings: Partial<OrganizationSettings> }

/** What can be asked of an organization that exists; settings that are not named stay as they are. */
export type OrganizationPatch = {
  name: string | undefined
  status: 'active' | 'disabled' | undefined
  settings: Partial<OrganizationSettings>
}

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** All organizations, newest first. Throws Refusal `permission_missing`. */
export async function listOrganizations(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  request: PageRequest,
): Promise<Listing<OrganizationRow>> {
  requireOperator(actor)
  return readPage(request, (page) => queryOrganizations(db, page))
}

/** Creates a tenant. Throws Refusal `permission_missing` or `slug_taken`. */
export async function createOrganization(
  { db, clock }: Services,
  actor: Actor,
  request: OrganizationRequest,
): Promise<OrganizationRow> {
  requireOperator(actor)
  return transact(db, async (trx) => {
    const now = clock.now()
    const organization = await insertUnique(trx, {
      id: newId('org', now),
      slug: request.slug,
      name: request.name,
      isOperator: false,
      settings: { ...DEFAULT_SETTINGS, ...request.settings },
      createdAt: new Date(now),
    })
    await recordChanges(trx, actor, now, [
      {
        organizationId: organization.id,
        action: 'organization.created',
        target: { id: organization.id, kind: 'organization', name: organization.name },
        changes: createdAs(factsOf(organization)),
      },
    ])
    return organization
  })
}

/**
 * Changes an organization. Its own accounts may rename it and set its rules; its status is for the platform.
 * Disabling ends all tokens of all its accounts before this returns, and forbidding API tokens ends those with all
 * that they obtained (promise 1). To allow them again is like making each that there is (promise 8).
 * Throws Refusal `resource_not_found`, `permission_missing`, `permission_not_held` or `built_in_protected`.
 */
export async function updateOrganization(
  { db, clock }: Services,
  actor: Actor,
  id: string,
  patch: OrganizationPatch,
): Promise<OrganizationRow> {
  const endsAuthority = patch.status === 'disabled' || patch.settings.allowApiTokens === false
  const run = endsAuthority ? transactEnding : transact
  return run(db, async (trx) => {
    const now = clock.now()
    const before = requireReachable(actor, id, await lockOrganization(trx, id))
    if (patch.status !== undefined) requireOperator(actor)
    if (patch.status === 'disabled') assertNotOperator(before)
    const changes: OrganizationChanges = {
      settings: { ...before.settings, ...patch.settings },
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.status === undefined ? {} : { status: patch.status }),
    }
    if (before.settings.allowApiTokens && patch.settings.allowApiTokens === false)
      await endTokensOfApiTokens(trx, id, new Date(now))
    if (!before.settings.allowApiTokens && patch.settings.allowApiTokens === true)
      await assertMayMakeKeys(trx, actor, await listApiTokenHolders(trx, id))
    return change(trx, actor, before, changes, now)
  })
}

/**
 * Deletes an organization: everything in it has ended when this returns (promise 1). While it has active accounts
 * its slug must be repeated in `confirmation`, so that nothing large happens by accident. The second time nothing
 * happens.
 * Throws Refusal `permission_missing`, `resource_not_found`, `organization_not_empty` or `built_in_protected`.
 */
export async function deleteOrganization(
  { db, clock }: Services,
  actor: Actor,
  id: string,
  confirmation: string | undefined,
): Promise<void> {
  requireOperator(actor)
  await transactEnding(db, async (trx) => {
    const now = clock.now()
    const before = await lockOrganization(trx, id)
    if (before === undefined) throw notFound('organization', id)
    if (before.status === 'deleted') return
    assertNotOperator(before)
    if (confirmation !== before.slug && (confirmation !== undefined || (await hasActiveAccounts(trx, id))))
      throw new Refusal('organization_not_empty', { id, confirmation: confirmation?.slice(0, 100) })
    const end = await endOrganizationContent(trx, id, new Date(now))
    await storeChanges(trx, id, { status: 'deleted' }, { endTokens: true, now: new Date(now) })
    const { status } = before
    await recordChanges(trx, actor, now, [
      {
        organizationId: id,
        action: 'organization.deleted',
        target: { id, kind: 'organization', name: before.name },
        changes:
          changesBetween({ status, accountsDeleted: [], keysRevoked: [] }, { status: 'deleted', ...end }) ??
          null,
      },
    ])
  })
}

async function change(
  trx: Trx,
  actor: Actor,
  before: OrganizationRow,
  changes: OrganizationChanges,
  now: number,
): Promise<OrganizationRow> {
  const differences = changesBetween(factsOf(before), factsOf({ ...before, ...changes }))
  if (differences === undefined) return before
  const statusMoves = changes.status !== undefined && changes.status !== before.status
  const endTokens = statusMoves && changes.status !== 'active'
  const after = await storeChanges(trx, before.id, changes, { endTokens, now: new Date(now) })
  await recordChanges(trx, actor, now, [
    {
      organizationId: before.id,
      action: statusMoves ? actionOf(after.status) : 'organization.updated',
      target: { id: before.id, kind: 'organization', name: after.name },
      changes: differences,
    },
  ])
  return after
}

function actionOf(status: OrganizationStatus): AuditAction {
  switch (status) {
    case 'active':
      return 'organization.enabled'
    case 'disabled':
      return 'organization.disabled'
    case 'deleted':
      return 'organization.deleted'
  }
}

/** Without it nobody could act on the platform any more. */
function assertNotOperator(organization: OrganizationRow): void {
  if (!organization.isOperator) return
  throw new Refusal(
    'built_in_protected',
    { organizationId: organization.id },
    { hint: 'The operator organization cannot be disabled or deleted.' },
  )
}

async function insertUnique(
  trx: Trx,
  organization: Parameters<typeof insertOrganization>[1],
): Promise<OrganizationRow> {
  try {
    return await insertOrganization(trx, organization)
  } catch (error) {
    if (violatedUnique(error) !== 'organizations_slug') throw error
    throw new Refusal(
      'slug_taken',
      { slug: organization.slug },
      { hint: 'Another organization has this slug.' },
    )
  }
}

function factsOf({ slug, name, status, settings }: OrganizationRow): Record<string, unknown> {
  return { slug, name, status, settings }
}
