import { type Kysely, sql } from 'kysely'
import { firstIdOf } from '../../ids.ts'
import type { AuditEventRow, Database } from '../tables.ts'
import type { Page } from './page.ts'

/** Which events: conditions that are given must all hold. `from` is included, `to` is not. */
export type AuditEventFilter = {
  actorId: string | undefined
  targetId: string | undefined
  action: string | undefined
  requestId: string | undefined
  from: Date | undefined
  to: Date | undefined
}

/**
 * An organization's events, newest first. Each condition has an index that is read in the order of ids; the
 * bounds on `at` leave partitions out.
 */
export function listAuditEvents(
  db: Kysely<Database>,
  organizationId: string,
  filter: AuditEventFilter,
  page: Page,
): Promise<AuditEventRow[]> {
  const { actorId, targetId, action, requestId, from, to } = filter
  let query = db.selectFrom('auditEvents').selectAll().where('organizationId', '=', organizationId)
  if (actorId !== undefined) query = query.where('actorId', '=', actorId)
  if (targetId !== undefined) query = query.where('targetId', '=', targetId)
  if (action !== undefined) query = query.where('action', '=', action)
  if (requestId !== undefined) query = query.where('requestId', '=', requestId)
  if (from !== undefined)
    query = query.where('at', '>=', from).where('id', '>=', firstIdOf('evt', from.getTime()))
  if (to !== undefined) query = query.where('at', '<', to).where('id', '<', firstIdOf('evt', to.getTime()))
  if (page.before !== undefined) query = query.where('id', '<', page.before)
  return query.orderBy('id', 'desc').limit(page.limit).execute()
}

/**
 * Events about a service account, newest first: what was done to it and to its keys, and what it did itself. Each of
 * these few is read from an index of its own, in the order of ids, no further than the page goes.
 */
export async function listAccountEvents(
  db: Kysely<Database>,
  { organizationId, accountId }: { organizationId: string; accountId: string },
  { limit, before }: Page,
): Promise<AuditEventRow[]> {
  const older = before === undefined ? sql`true` : sql`e.id < ${before}`
  const { rows } = await sql<AuditEventRow>`
    select e.* from (
      select ${accountId} as id union all select k.id from keys k where k.account_id = ${accountId}
    ) about cross join lateral (
      select * from audit_events e
      where e.organization_id = ${organizationId} and e.target_id = about.id and ${older}
      order by e.id desc limit ${limit}
    ) e
    union
    (select * from audit_events e
     where e.organization_id = ${organizationId} and e.actor_id = ${accountId} and ${older}
     order by e.id desc limit ${limit})
    order by id desc limit ${limit}`.execute(db)
  return rows
}
