import type { Db } from '../database/connect.ts'
import { insertAuditEvents } from '../database/queries/audit-events.ts'
import { transact } from '../database/transaction.ts'
import type { Reason } from '../errors.ts'
import { newId } from '../ids.ts'
import type { RequestFacts } from './actor.ts'

/** A token request that was refused, and whose account it named. */
export type RefusedToken = {
  accountId: string
  accountName: string
  organizationId: string
  reason: Reason
  request: RequestFacts
}

/**
 * Writes a refusal into the trail of the account's organization. The account is the target and nobody is the
 * actor: whoever sent the assertion has not proven to be anyone. `now` in milliseconds.
 */
export async function recordRefusedToken(db: Db, now: number, refused: RefusedToken): Promise<void> {
  await transact(db, (trx) =>
    insertAuditEvents(trx, [
      {
        organizationId: refused.organizationId,
        id: newId('evt', now),
        at: new Date(now),
        actorId: null,
        actorKind: 'unknown',
        actorName: 'sender of an assertion',
        action: 'token.refused',
        targetId: refused.accountId,
        targetKind: 'service_account',
        targetName: refused.accountName,
        changes: null,
        reason: refused.reason,
        requestId: refused.request.requestId,
        ip: refused.request.ip,
        userAgent: refused.request.userAgent,
      },
    ]),
  )
}
