import type { Db } from '../database/connect.ts'
import type { AccountKind } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import type { Reason } from '../errors.ts'
import type { RequestFacts } from './actor.ts'
import { recordChanges } from './audit.ts'

/** What was refused, and what the trail calls whoever asked. */
export type RefusedAction = {
  action: 'token.refused' | 'token.revocation_refused' | 'administrator.sign_in_refused'
  askedBy: string
}

/** Whom refused requests have named. */
export type RefusedAccount = {
  accountId: string
  accountName: string
  accountKind: AccountKind
  organizationId: string
}

/** A request that was refused, or `count` of them for one reason. `at` in milliseconds. */
export type RefusedRequest = {
  at: number
  account: RefusedAccount
  reason: Reason
  request: RequestFacts
  count?: number
}

/**
 * Writes refusals into the trails of the accounts' organizations. The account is the target and nobody is the
 * actor: whoever asked has not proven to be anyone.
 */
export async function recordRefusals(
  db: Db,
  { action, askedBy }: RefusedAction,
  refusals: readonly RefusedRequest[],
): Promise<void> {
  await transact(db, async (trx) => {
    for (const { at, account, reason, request, count } of refusals) {
      const actor = { accountId: null, kind: 'unknown', name: askedBy, request } as const
      await recordChanges(trx, actor, at, [
        {
          organizationId: account.organizationId,
          action,
          target: { id: account.accountId, kind: account.accountKind, name: account.accountName },
          changes: null,
          reason,
          ...(count !== undefined && { count }),
        },
      ])
    }
  })
}
