import type { Db, Trx } from '../database/connect.ts'
import { lockAccount, updateAccount } from '../database/queries/accounts.ts'
import { type Administrator, findAdmissibleAdministrator } from '../database/queries/administrators.ts'
import { lockCredentials, setPasswordHash } from '../database/queries/credentials.ts'
import { findInvitation, takeInvitation } from '../database/queries/invitations.ts'
import { findOrganization } from '../database/queries/organizations.ts'
import { endSessions } from '../database/queries/sessions.ts'
import type { InvitationRow, OrganizationRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import type { RequestFacts } from '../directory/actor.ts'
import { recordChanges } from '../directory/audit.ts'
import { assertStillBacked } from '../directory/invitations.ts'
import { Refusal } from '../errors.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { provePassword } from './password-proof.ts'
import { requireGoodPassword } from './password-rules.ts'
import type { AuthenticationServices } from './services.ts'
import type { Session } from './sessions.ts'

/** Whose invitation it is and to what, to be shown before a password is chosen. */
export type Invited = { email: string; name: string; organization: OrganizationRow; expiresAt: Date }

/** Reads an invitation without using it up. Throws Refusal `invitation_invalid`. */
export async function readInvitation(
  { db, clock }: Pick<AuthenticationServices, 'db' | 'clock'>,
  secret: string,
): Promise<Invited> {
  const invitation = requireLive(await findInvitation(db, digestSecret(secret)), clock.now())
  const { email, name, organizationId } = requireAdmissible(
    await findAdmissibleAdministrator(db, invitation.accountId),
    invitation,
  )
  const organization = await requireOrganization(db, organizationId)
  return { email, name, organization, expiresAt: invitation.expiresAt }
}

/**
 * Accepts an invitation by choosing a password; the account is active then, and signs in with it. The invitation
 * is used up: of two who come at once, one gets it. A second factor stays as it was.
 * Throws Refusal `invitation_invalid`, `input_invalid` for the password, or `too_many_requests`.
 */
export async function acceptInvitation(
  services: Pick<AuthenticationServices, 'db' | 'clock' | 'passwords'>,
  given: { invitation: string; password: string },
  request: RequestFacts,
): Promise<{ email: string; organization: OrganizationRow }> {
  const { db, clock, passwords } = services
  const digest = digestSecret(given.invitation)
  // Before the password is hashed: whoever has no invitation makes no work.
  const { name, email, organization } = await readInvitation(services, given.invitation)
  const names = [name, email, organization.name, organization.slug]
  const hash = await passwords.hash(requireGoodPassword(given.password, '/password', names))
  return transact(db, (trx) => redeemInvitation(trx, { digest, hash }, request, clock.now()))
}

/** The part of the acceptance that changes something. `now` in milliseconds. Throws Refusal `invitation_invalid`. */
export async function redeemInvitation(
  trx: Trx,
  { digest, hash }: { digest: Buffer; hash: string },
  request: RequestFacts,
  now: number,
): Promise<{ email: string; organization: OrganizationRow }> {
  const invitation = requireLive(await findInvitation(trx, digest), now)
  const administrator = await lockInvited(trx, invitation)
  requireLive(await takeInvitation(trx, digest), now)
  const { id, name, email, organizationId, status } = administrator
  await setPasswordHash(trx, id, hash, new Date(now))
  await updateAccount(trx, id, { status: 'active' }, { endTokens: false, now: new Date(now) })
  await endSessions(trx, id, { now: new Date(now) })
  await recordChanges(trx, { accountId: id, kind: 'administrator', name, request }, now, [
    {
      organizationId,
      action: 'administrator.invitation_accepted',
      target: { id, kind: 'administrator', name },
      changes: status === 'active' ? null : { before: { status }, after: { status: 'active' } },
    },
  ])
  return { email, organization: await requireOrganization(trx, organizationId) }
}

/**
 * Changes the password of who is signed in, and ends all their other sessions.
 * Throws Refusal `input_invalid` for the new one, and what `provePassword` throws.
 */
export async function changePassword(
  services: AuthenticationServices,
  session: Session,
  given: { password: string; newPassword: string },
): Promise<void> {
  const { accountId, accountName, organizationId, id: sessionId } = session.record
  const { accountEmail, organizationName, organizationSlug } = session.record
  const names = [accountName, accountEmail, organizationName, organizationSlug]
  const newPassword = requireGoodPassword(given.newPassword, '/new_password', names)
  const proven = await provePassword(services, session, given.password, session.actor.request)
  const hash = await services.passwords.hash(newPassword)
  await transact(services.db, async (trx) => {
    const now = services.clock.now()
    const credentials = await lockCredentials(trx, accountId)
    if (credentials?.passwordHash !== proven) {
      throw new Refusal('password_unconfirmed', { accountId, fact: 'just changed' })
    }
    await setPasswordHash(trx, accountId, hash, new Date(now))
    const sessionsEnded = await endSessions(trx, accountId, { except: sessionId, now: new Date(now) })
    await recordChanges(trx, session.actor, now, [
      {
        organizationId,
        action: 'administrator.password_changed',
        target: { id: accountId, kind: 'administrator', name: accountName },
        changes: { after: { sessions_ended: sessionsEnded } },
      },
    ])
  })
}

/** The account, held; and whoever has invited it must still be able to give all that it has (promise 8). */
async function lockInvited(trx: Trx, invitation: InvitationRow): Promise<Administrator> {
  const { accountId } = invitation
  await lockAccount(trx, accountId)
  await lockCredentials(trx, accountId)
  const administrator = requireAdmissible(await findAdmissibleAdministrator(trx, accountId), invitation)
  try {
    await assertStillBacked(trx, invitation)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    throw new Refusal('invitation_invalid', { accountId, fact: 'beyond who has invited', ...error.detail })
  }
  return administrator
}

async function requireOrganization(db: Db, id: string): Promise<OrganizationRow> {
  const organization = await findOrganization(db, id)
  if (organization === undefined) throw new Error('an account is of an organization')
  return organization
}

function requireLive(invitation: InvitationRow | undefined, now: number): InvitationRow {
  if (invitation === undefined) throw new Refusal('invitation_invalid', { fact: 'unknown, used or replaced' })
  if (invitation.expiresAt.getTime() > now) return invitation
  throw new Refusal('invitation_invalid', {
    accountId: invitation.accountId,
    fact: 'expired',
    expiredAt: invitation.expiresAt.toISOString(),
  })
}

function requireAdmissible(
  administrator: Administrator | undefined,
  { accountId }: InvitationRow,
): Administrator {
  if (administrator !== undefined) return administrator
  throw new Refusal('invitation_invalid', { accountId, fact: 'account or organization not active' })
}
