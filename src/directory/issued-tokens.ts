import { updateAccount } from '../database/queries/accounts.ts'
import {
  findGrantRecord,
  listLiveTokens,
  revokeToken as markRevoked,
} from '../database/queries/grant-records.ts'
import type { GrantRecordRow } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import type { Actor } from './actor.ts'
import { changesBetween, recordChanges } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { notFound } from './reach.ts'
import { type AccountPath, getServiceAccount, lockServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** An account's tokens that are good now, newest first. Throws Refusal `resource_not_found`. */
export async function listTokens(
  { db, clock }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<GrantRecordRow>> {
  const { account } = await getServiceAccount(db, actor, path)
  return readPage(request, (page) => listLiveTokens(db, account.id, { now: clock.now(), ...page }))
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
    if ((await markRevoked(trx, account.id, tokenId, now)) === undefined) {
      if ((await findGrantRecord(trx, account.id, tokenId, now)) === undefined)
        throw notFound('token', tokenId)
      return
    }
    await recordChanges(trx, actor, now, [
      {
        organizationId: organization.id,
        action: 'token.revoked',
        target: { id: tokenId, kind: 'token', name: null },
        changes: changesBetween({ revokedAt: null }, { revokedAt: new Date(now) }) ?? null,
      },
    ])
  })
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
