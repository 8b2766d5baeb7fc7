import type { Db } from '../database/connect.ts'
import { transact } from '../database/transaction.ts'
import type { Reason } from '../errors.ts'
import type { RequestFacts } from './actor.ts'
import { recordChanges } from './audit.ts'

/** Whom refused token requests have named. */
export type RefusedSender = { accountId: string; accountName: string; organizationId: string }

/** A token request that was refused, or `count` of them for one reason. `at` in milliseconds. */
export type RefusedToken = {
  at: number
  sender: RefusedSender
  reason: Reason
  request: RequestFacts
  count?: number
}

/**
 * Writes refusals into the trails of the accounts' organizations. The account is the target and nobody is the
 * actor: whoever sent the assertion has not proven to be anyone.
 */
export async function recordRefusedTokens(db: Db, refusals: readonly RefusedToken[]): Promise<void> {
  await transact(db, async (trx) => {
    for (const { at, sender, reason, request, count } of refusals) {
      const actor = { accountId: null, kind: 'unknown', name: 'sender of an assertion', request } as const
      await recordChanges(trx, actor, at, [
        {
          organizationId: sender.organizationId,
          action: 'token.refused',
          target: { id: sender.accountId, kind: 'service_account', name: sender.accountName },
          changes: null,
          reason,
          ...(count !== undefined && { count }),
        },
      ])
    }
  })
}
