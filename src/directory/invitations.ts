import { randomBytes } from 'node:crypto'
import type { Trx } from '../database/connect.ts'
import { listEffectivePermissions } from '../database/queries/access.ts'
import { findActiveAccount } from '../database/queries/accounts.ts'
import type { Administrator } from '../database/queries/administrators.ts'
import { lockCredentials, removeTotp, setPasswordHash } from '../database/queries/credentials.ts'
import { unlinkAccount } from '../database/queries/identity-providers.ts'
import { replaceInvitation } from '../database/queries/invitations.ts'
import { findBuiltInResourceServer } from '../database/queries/resource-servers.ts'
import { endSessions } from '../database/queries/sessions.ts'
import type { InvitationRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { Refusal } from '../errors.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { type Actor, creatorOf, SYSTEM, systemActor } from './actor.ts'
import { lockAdministrator } from './administrator-reach.ts'
import { changesBetween, recordChanges } from './audit.ts'
import { assertMayMakeKey } from './granting.ts'
import type { AccountPath } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/** `csi_` and 256 random bits, so that scanners recognise it. */
const SECRET_PREFIX = 'csi_'
const SECRET_OCTETS = 32
const LIFETIME_HOURS = 72

/** A link by which one person, once, chooses a password. It is in the answer alone; its SHA-256 is kept. */
export type Invitation = { url: string; expiresAt: Date }

/**
 * Invites an administrator once more, which is also how a password is reset: sessions, the password, the link to
 * the identity provider and an invitation from before have stopped working when this returns. The second
 * factor stays unless it is to be removed, for somebody who has lost it.
 *
 * Whoever holds the link becomes the account, so the actor must be able to give all that the account has
 * (promise 8).
 * Throws Refusal `resource_not_found`, `permission_not_held` or `administrator_disabled`.
 */
export async function inviteAgain(
  { db, clock, issuer }: Pick<DirectoryServices, 'db' | 'clock' | 'issuer'>,
  actor: Actor,
  path: AccountPath,
  request: { removeSecondFactor: boolean },
): Promise<{ administrator: Administrator; invitation: Invitation }> {
  return transact(db, async (trx) => {
    const now = clock.now()
    const { administrator } = await lockAdministrator(trx, actor, path)
    await assertMayMakeKey(trx, actor, administrator.id)
    if (administrator.status === 'disabled') {
      throw new Refusal('administrator_disabled', { accountId: administrator.id })
    }
    const sessionsEnded = await takeCredentials(trx, administrator.id, request, new Date(now))
    const invitation = await issueInvitation(trx, issuer, actor, administrator.id, now)
    const isReset = administrator.status === 'active'
    const removed = request.removeSecondFactor && administrator.hasSecondFactor
    await recordChanges(trx, actor, now, [
      {
        organizationId: administrator.organizationId,
        action: isReset ? 'administrator.reset' : 'administrator.invited',
        target: { id: administrator.id, kind: 'administrator', name: administrator.name },
        changes: isReset
          ? (changesBetween(
              {
                hasPassword: administrator.hasPassword,
                hasSecondFactor: administrator.hasSecondFactor,
                sessionsEnded: 0,
              },
              {
                hasPassword: false,
                hasSecondFactor: administrator.hasSecondFactor && !removed,
                sessionsEnded,
              },
            ) ?? null)
          : null,
      },
    ])
    return { administrator: (await lockAdministrator(trx, actor, path)).administrator, invitation }
  })
}

/** Stores a new invitation; the one before it stops counting. `now` in milliseconds. */
export async function issueInvitation(
  trx: Trx,
  issuer: string,
  actor: Actor,
  accountId: string,
  now: number,
): Promise<Invitation> {
  const secret = SECRET_PREFIX + randomBytes(SECRET_OCTETS).toString('base64url')
  const expiresAt = new Date(now + LIFETIME_HOURS * 3_600_000)
  await replaceInvitation(trx, {
    accountId,
    digest: digestSecret(secret),
    expiresAt,
    createdAt: new Date(now),
    createdBy: creatorOf(actor),
  })
  return { url: invitationUrl(issuer, secret), expiresAt }
}

/**
 * Whoever has made an invitation knows its link. If the account has been given more since than they may give,
 * the link would be a way to it (promise 8): then it does not count any more.
 * Throws Refusal `permission_not_held`.
 */
export async function assertStillBacked(trx: Trx, invitation: InvitationRow): Promise<void> {
  await assertMayMakeKey(trx, await readCreator(trx, invitation.createdBy), invitation.accountId)
}

/**
 * The secret stands in the fragment, which browsers send to nobody: no log of a proxy and no Referer has it.
 */
function invitationUrl(issuer: string, secret: string): string {
  return `${issuer}/console/invitation#${secret}`
}

/** The secret of an invitation's link. */
export function secretOf({ url }: Pick<Invitation, 'url'>): string {
  return new URL(url).hash.slice(1)
}

/** In this order: a sign-in under way waits for the lock, and then finds another password than it has verified. */
async function takeCredentials(
  trx: Trx,
  accountId: string,
  { removeSecondFactor }: { removeSecondFactor: boolean },
  now: Date,
): Promise<number> {
  await lockCredentials(trx, accountId)
  await setPasswordHash(trx, accountId, null, now)
  await unlinkAccount(trx, accountId)
  if (removeSecondFactor) await removeTotp(trx, accountId)
  return endSessions(trx, accountId, { now })
}

/** Somebody as they are now. Throws Refusal `permission_not_held` when they are not active any more. */
async function readCreator(trx: Trx, createdBy: string): Promise<Actor> {
  if (createdBy === SYSTEM) return systemActor
  const account = await findActiveAccount(trx, createdBy)
  if (account === undefined) throw new Refusal('permission_not_held', { createdBy, fact: 'not active' })
  const builtIn = await findBuiltInResourceServer(trx)
  const held = await listEffectivePermissions(trx, createdBy)
  return {
    ...systemActor,
    ...account,
    accountId: createdBy,
    permissions: held.flatMap((entry) => (entry.resourceServerId === builtIn?.id ? [entry.permission] : [])),
  }
}
