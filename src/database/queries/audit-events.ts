import type { Kysely, Transaction } from 'kysely'
import type { AuditChanges, AuditEventRow, Database, NewAuditEvent } from '../tables.ts'
import type { Page } from './page.ts'

/** Which events: conditions that are given must all hold. `from` is included, `to` is not. */
export type AuditFilter = {
  actorId?: string
  targetId?: string
  action?: string
  from?: Date
  to?: Date
}

/** An event as rules describe it; how `changes` is stored is this file's concern. */
export type AuditEventToStore = Omit<NewAuditEvent, 'changes'> & { changes: AuditChanges | null }

/** Rows of one statement: far below PostgreSQL's 65535 parameters. */
const MAX_EVENTS_PER_STATEMENT = 1000

/** Appends events. Called in the transaction of the change that they tell of (promise 7). */
export async function insertAuditEvents(
  trx: Transaction<Database>,
  events: readonly AuditEventToStore[],
): Promise<void> {
  for (let start = 0; start < events.length; start += MAX_EVENTS_PER_STATEMENT) {
    await trx
      .insertInto('auditEvents')
      .values(
        events.slice(start, start + MAX_EVENTS_PER_STATEMENT).map((event) => ({
          ...event,
          changes: event.changes === null ? null : JSON.stringify(event.changes),
        })),
      )
      .execute()
  }
}

/** An organization's events. The bounds on `at` leave partitions out, the rest is read in order of an index. */
export function listAuditEvents(
  db: Kysely<Database>,
  organizationId: string,
  filter: AuditFilter,
  page: Page,
): Promise<AuditEventRow[]> {
  let query = db.selectFrom('auditEvents').selectAll().where('organizationId', '=', organizationId)
  if (filter.actorId !== undefined) query = query.where('actorId', '=', filter.actorId)
  if (filter.targetId !== undefined) query = query.where('targetId', '=', filter.targetId)
  if (filter.action !== undefined) query = query.where('action', '=', filter.action)
  if (filter.from !== undefined) query = query.where('at', '>=', filter.from)
  if (filter.to !== undefined) query = query.where('at', '<', filter.to)
  if (page.before !== undefined) query = query.where('id', '<', page.before)
  return query.orderBy('id', 'desc').limit(page.limit).execute()
}
