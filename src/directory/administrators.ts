import type { Trx } from '../database/connect.ts'
import type { Access } from '../database/queries/access.ts'
import { lockAccount, updateAccount } from '../database/queries/accounts.ts'
import {
  type Administrator,
  findAdministrator,
  insertAdministrator,
  type NewAdministrator,
  listAdministrators as queryAdministrators,
} from '../database/queries/administrators.ts'
import { deleteCredentials, lockCredentials } from '../database/queries/credentials.ts'
import { deleteInvitation } from '../database/queries/invitations.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import { endSessions } from '../database/queries/sessions.ts'
import type { AccountStatus } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { isServiceAccountEmail, newId } from '../ids.ts'
import {
  type AccessPatch,
  mayCostOwner,
  NO_ACCESS,
  normalizeAccess,
  patchAccess,
  replaceAccess,
} from './access.ts'
import { type Actor, creatorOf } from './actor.ts'
import { lockAdministrator } from './administrator-reach.ts'
import { type AuditAction, changesBetween, createdAs, recordChanges } from './audit.ts'
import { DEFAULT_ASSERTION_POLICY } from './defaults.ts'
import { assertMayMakeKey } from './granting.ts'
import { type Invitation, issueInvitation } from './invitations.ts'
import { keepingAnOwner } from './ownership.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization, requireFound, requireReachable } from './reach.ts'
import type { AccountPath } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** `access.delegation` is for service accounts: nobody else acts for end users. */
export type AdministratorRequest = { name: string; email: string; access: AdministratorAccess }

/** What can be asked of an administrator who exists. The address never changes: it decides who they are. */
export type AdministratorPatch = {
  name: string | undefined
  status: 'active' | 'disabled' | undefined
  access: AdministratorAccess
}

export type AdministratorAccess = Omit<AccessPatch, 'delegation'>

/** An organization's administrators, newest first. Throws Refusal `resource_not_found`. */
export async function listAdministrators(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<Administrator>> {
  const organization = await getOrganization(db, actor, organizationId)
  return readPage(request, (page) => queryAdministrators(db, organization.id, page))
}

/**
 * Creates an administrator who may do what the request lists, and their invitation.
 * Throws Refusal `resource_not_found`, `email_taken`, `permission_not_held` or `input_invalid`.
 */
export async function createAdministrator(
  { db, clock, issuer }: Pick<DirectoryServices, 'db' | 'clock' | 'issuer'>,
  actor: Actor,
  organizationId: string,
  request: AdministratorRequest,
): Promise<{ administrator: Administrator; invitation: Invitation }> {
  return transact(db, (trx) =>
    addAdministrator(trx, { issuer, now: clock.now() }, actor, organizationId, request),
  )
}

/** The same as a part of a transaction. `now` in milliseconds. */
export async function addAdministrator(
  trx: Trx,
  { issuer, now }: { issuer: string; now: number },
  actor: Actor,
  organizationId: string,
  request: AdministratorRequest,
): Promise<{ administrator: Administrator; invitation: Invitation }> {
  const email = requirePersonalAddress(request.email, issuer)
  const organization = requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
  const account = {
    id: newId('acc', now),
    organizationId: organization.id,
    name: request.name,
    email,
    assertionPolicy: DEFAULT_ASSERTION_POLICY,
    createdAt: new Date(now),
    createdBy: creatorOf(actor),
  }
  await insertUnique(trx, account)
  const { id } = account
  const asked = patchAccess(NO_ACCESS, { ...request.access, delegation: undefined })
  await replaceAccess(trx, actor, { id, organizationId: organization.id, ...NO_ACCESS }, asked)
  const invitation = await issueInvitation(trx, issuer, actor, id, now)
  const administrator = requireFound(await findAdministrator(trx, organization.id, id), 'administrator', id)
  await recordChanges(trx, actor, now, [
    {
      organizationId: organization.id,
      action: 'administrator.invited',
      target: { id, kind: 'administrator', name: account.name },
      changes: createdAs(factsOf(administrator)),
    },
  ])
  return { administrator, invitation }
}

/**
 * Changes an administrator. Disabling ends all their sessions and takes an invitation back before this returns
 * (promise 1). What is given must be the actor's to give (promise 8).
 * Throws Refusal `resource_not_found`, `permission_not_held`, `input_invalid` or `last_owner`.
 */
export async function updateAdministrator(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  path: AccountPath,
  patch: AdministratorPatch,
): Promise<Administrator> {
  const run = patch.status === 'disabled' ? transactEnding : transact
  return run(db, async (trx) => {
    const change = async () => {
      const { administrator } = await lockAdministrator(trx, actor, path)
      const asked = patchAccess(administrator, { ...patch.access, delegation: undefined })
      const after = {
        ...administrator,
        ...normalizeAccess(asked),
        name: patch.name ?? administrator.name,
        status: nextStatus(administrator, patch.status),
      }
      return storeChanges(trx, actor, administrator, { asked, after, now: clock.now() })
    }
    if (!mayCostOwner(patch)) return change()
    return keepingAnOwner(trx, await getOrganization(trx, actor, path.organizationId), change)
  })
}

/**
 * Deletes an administrator for good: access, credentials and invitation are gone, sessions ended before this
 * returns. The record stays for the trail. The second time nothing happens.
 * Throws Refusal `resource_not_found` or `last_owner`.
 */
export async function deleteAdministrator(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  { organizationId, accountId }: AccountPath,
): Promise<void> {
  await transactEnding(db, async (trx) => {
    const now = clock.now()
    const organization = await getOrganization(trx, actor, organizationId)
    await keepingAnOwner(trx, organization, async () => {
      await lockAccount(trx, accountId)
      const found = await findAdministrator(trx, organization.id, accountId)
      const administrator = requireFound(found, 'administrator', accountId)
      if (administrator.status === 'deleted') return
      await replaceAccess(trx, actor, administrator, NO_ACCESS)
      const sessionsEnded = await takeEverything(trx, accountId, { status: 'deleted', now })
      await deleteCredentials(trx, accountId)
      const before = { status: administrator.status, ...accessOf(administrator), sessionsEnded: 0 }
      await recordChanges(trx, actor, now, [
        {
          organizationId: organization.id,
          action: 'administrator.deleted',
          target: { id: accountId, kind: 'administrator', name: administrator.name },
          changes:
            changesBetween(before, { status: 'deleted', ...accessOf(NO_ACCESS), sessionsEnded }) ?? null,
        },
      ])
    })
  })
}

/** One form for one address: people do not mean another one by a capital letter. */
export function normalizeEmail(email: string): string {
  return email.normalize('NFC').toLowerCase()
}

/** By inviting people under such addresses one tenant would take names from the service accounts of another. */
function requirePersonalAddress(text: string, issuer: string): string {
  const email = normalizeEmail(text)
  if (!isServiceAccountEmail(email, issuer)) return email
  const detail = 'is of a service account: it never receives mail'
  throw new Refusal('input_invalid', { email }, { faults: [{ pointer: '/email', detail }] })
}

async function storeChanges(
  trx: Trx,
  actor: Actor,
  before: Administrator,
  { asked, after, now }: { asked: Access; after: Administrator; now: number },
): Promise<Administrator> {
  const differences = changesBetween(factsOf(before), factsOf(after))
  if (differences === undefined) return before
  await replaceAccess(trx, actor, before, asked)
  const { id, organizationId, name, status } = after
  // To let somebody in again is to give all that they have.
  if (before.status === 'disabled' && status !== 'disabled') await assertMayMakeKey(trx, actor, id)
  if (status === 'disabled' && before.status !== 'disabled') await takeEverything(trx, id, { status, now })
  await updateAccount(trx, id, { name, status }, { endTokens: false, now: new Date(now) })
  await recordChanges(trx, actor, now, [
    {
      organizationId,
      action: actionOf(before.status, status),
      target: { id, kind: 'administrator', name },
      changes: differences,
    },
  ])
  return requireFound(await findAdministrator(trx, organizationId, id), 'administrator', id)
}

/** Ends what somebody can act by: sessions, also one that begins right now (its generation is over), and the link. */
async function takeEverything(
  trx: Trx,
  accountId: string,
  { status, now }: { status: 'disabled' | 'deleted'; now: number },
): Promise<number> {
  // Before sessions, as everybody does who needs both.
  await lockCredentials(trx, accountId)
  await updateAccount(trx, accountId, { status }, { endTokens: true, now: new Date(now) })
  await deleteInvitation(trx, accountId)
  return endSessions(trx, accountId, { now: new Date(now) })
}

/** Enabled is who has something to sign in with; anybody else needs an invitation first. */
function nextStatus(administrator: Administrator, asked: 'active' | 'disabled' | undefined): AccountStatus {
  if (asked === undefined || asked === 'disabled') return asked ?? administrator.status
  if (administrator.status !== 'disabled') return administrator.status
  return administrator.hasPassword || administrator.isLinked ? 'active' : 'invited'
}

function actionOf(before: AccountStatus, after: AccountStatus): AuditAction {
  if (before === after) return 'administrator.updated'
  return after === 'disabled' ? 'administrator.disabled' : 'administrator.enabled'
}

async function insertUnique(trx: Trx, account: NewAdministrator): Promise<void> {
  try {
    await insertAdministrator(trx, account)
  } catch (error) {
    if (violatedUnique(error) !== 'accounts_email') throw error
    throw new Refusal('email_taken', { organizationId: account.organizationId })
  }
}

function factsOf(administrator: Administrator): Record<string, unknown> {
  const { name, email, status } = administrator
  return { name, email, status, ...accessOf(administrator) }
}

function accessOf({ permissions, roleIds, groupAccess, groupsAdministrator }: Access) {
  return { permissions, roleIds, groupAccess, groupsAdministrator }
}
