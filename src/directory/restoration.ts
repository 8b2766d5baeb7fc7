import type { Clock } from '../clock.ts'
import type { Db } from '../database/connect.ts'
import { findOperatorOrganization } from '../database/queries/organizations.ts'
import { findLastRestoration, insertRestoration } from '../database/queries/restorations.ts'
import { transact } from '../database/transaction.ts'
import { systemActor } from './actor.ts'
import { recordChanges } from './audit.ts'

/** Notes, for every node and every start to come, that the database was put back from a backup just now. */
export async function recordRestoration(db: Db, clock: Clock): Promise<void> {
  await transact(db, async (trx) => {
    const now = clock.now()
    await insertRestoration(trx, new Date(now))
    const organization = await findOperatorOrganization(trx)
    if (organization === undefined) return
    await recordChanges(trx, systemActor, now, [
      { organizationId: organization.id, action: 'installation.restored', target: null, changes: null },
    ])
  })
}

/** What a node knows of the last restoration, in milliseconds; read anew by `reload`. */
export type Restorations = { last(): number | undefined; reload(): Promise<void> }

/** Reads when the database was last put back from a backup. */
export async function openRestorations(db: Db): Promise<Restorations> {
  let last: number | undefined
  const reload = async () => {
    last = (await findLastRestoration(db))?.getTime()
  }
  await reload()
  return { last: () => last, reload }
}
