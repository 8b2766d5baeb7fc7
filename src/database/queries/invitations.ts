import type { Kysely, Transaction } from 'kysely'
import type { Database, InvitationRow } from '../tables.ts'

/** Stores an invitation; the one before it stops counting. */
export async function replaceInvitation(
  trx: Transaction<Database>,
  invitation: InvitationRow,
): Promise<void> {
  await trx
    .insertInto('invitations')
    .values(invitation)
    .onConflict((conflict) =>
      conflict.column('accountId').doUpdateSet((update) => ({
        digest: update.ref('excluded.digest'),
        expiresAt: update.ref('excluded.expiresAt'),
        createdAt: update.ref('excluded.createdAt'),
        createdBy: update.ref('excluded.createdBy'),
      })),
    )
    .execute()
}

/** The invitation with that digest, also one that has expired. */
export function findInvitation(db: Kysely<Database>, digest: Buffer): Promise<InvitationRow | undefined> {
  return db.selectFrom('invitations').selectAll().where('digest', '=', digest).executeTakeFirst()
}

/** Uses an invitation up. Of two that come at once, one gets it. */
export function takeInvitation(
  trx: Transaction<Database>,
  digest: Buffer,
): Promise<InvitationRow | undefined> {
  return trx.deleteFrom('invitations').where('digest', '=', digest).returningAll().executeTakeFirst()
}

/** Takes an account's invitation back, if there is one. */
export async function deleteInvitation(trx: Transaction<Database>, accountId: string): Promise<void> {
  await trx.deleteFrom('invitations').where('accountId', '=', accountId).execute()
}
