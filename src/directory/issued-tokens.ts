import type { Trx } from '../database/connect.ts'
import { updateAccount } from '../database/queries/accounts.ts'
import {
  findGrantRecord,
  findLiveToken,
  type LiveToken,
  listLiveTokens,
  revokeToken as markRevoked,
} from '../database/queries/grant-records.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import type { Actor, RequestFacts } from './actor.ts'
import { type AuditActor, changesBetween, recordChanges } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { requireFound } from './reach.ts'
import { type AccountPath, getServiceAccount, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** An account's tokens that are good now, newest first. Throws Refusal `resource_not_found`. */
export async function listTokens(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<LiveToken>> {
  const { account } = await getServiceAccount(db, actor, path)
  return readPage(request, (page) => listLiveTokens(db, account.id, { now: clock.now(), ...page }))
}

/**
 * A token that is good now; undefined for one that has ended. Throws Refusal `resource_not_found` for one that the
 * account never got, or long ago.
 */
export async function getLiveToken(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  tokenId: string,
): Promise<LiveToken | undefined> {
  const { account } = await getServiceAccount(db, actor, path)
  const now = clock.now()
  const token = await findLiveToken(db, account.id, tokenId, now)
  if (token !== undefined) return token
  requireFound(await findGrantRecord(db, account.id, tokenId, now), 'token', tokenId)
  return undefined
}

/**
 * Ends one token: every introspection says so once this returns (promise 1). For a token that has ended
 * already nothing happens. Throws Refusal `resource_not_found`.
 */
export async function revokeToken(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  tokenId: string,
): Promise<void> {
  await transact(db, async (trx) => {
    const now = clock.now()
    const { organization, account } = await lockServiceAccount(trx, actor, path)
    if (await revoke(trx, actor, { accountId: account.id, organizationId: organization.id, tokenId }, now))
      return
    requireFound(await findGrantRecord(trx, account.id, tokenId, now), 'token', tokenId)
  })
}

/**
 * The same by the account to which the token was issued, which needs no permission for it (RFC 7009). Answers whether
 * there was a token to end.
 */
export function revokeOwnToken(
  { db, clock }: Services,
  account: { accountId: string; accountName: string; organizationId: string },
  tokenId: string,
  request: RequestFacts,
): Promise<boolean> {
  const { accountId, accountName, organizationId } = account
  const actor: AuditActor = { accountId, kind: 'service_account', name: accountName, request }
  return transact(db, (trx) => revoke(trx, actor, { accountId, organizationId, tokenId }, clock.now()))
}

/** Marks a token revoked, and records it, unless it was over already. */
async function revoke(
  trx: Trx,
  actor: AuditActor,
  { accountId, organizationId, tokenId }: { accountId: string; organizationId: string; tokenId: string },
  now: number,
): Promise<boolean> {
  if ((await markRevoked(trx, accountId, tokenId, now)) === undefined) return false
  await recordChanges(trx, actor, now, [
    {
      organizationId,
      action: 'token.revoked',
      target: { id: tokenId, kind: 'token', name: null },
      changes: changesBetween({ revokedAt: null }, { revokedAt: new Date(now) }) ?? null,
    },
  ])
  return true
}

/**
 * Ends all tokens that an account has, also one that is being issued at this moment. Its keys stay as they
 * are. Throws Refusal `resource_not_found`.
 */
export async function revokeAllTokens(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
): Promise<void> {
  await transactEnding(db, async (trx) => {
    const now = clock.now()
    const { organization, account } = await lockServiceAccount(trx, actor, path)
    await updateAccount(trx, account.id, {}, { endTokens: true, now: new Date(now) })
    await recordChanges(trx, actor, now, [
      {
        organizationId: organization.id,
        action: 'service_account.tokens_revoked',
        target: { id: account.id, kind: 'service_account', name: account.name },
        changes: null,
      },
    ])
  })
}
