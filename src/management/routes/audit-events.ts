import type { AuditFilter } from '../../database/queries/audit-events.ts'
import type { AuditEventRow } from '../../database/tables.ts'
import * as directory from '../../directory/audit-trail.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime, toQueryTime } from '../time.ts'

type FilterQuery = Partial<Record<'actor' | 'target' | 'action' | 'from' | 'to', string>>

/** `GET /organizations/{org}/audit-events`: one page of the trail, newest first, as far as the filter lets through. */
export async function listAuditEvents(call: Call): Promise<Reply> {
  const { services, actor } = call
  const filter = toFilter(call.query)
  const listing = await directory.listAuditEvents(services, actor, organizationOf(call), filter, pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

function toFilter({ actor, target, action, from, to }: FilterQuery): AuditFilter {
  return {
    ...(actor !== undefined && { actorId: actor }),
    ...(target !== undefined && { targetId: target }),
    ...(action !== undefined && { action }),
    ...(from !== undefined && { from: toQueryTime(from, 'from') }),
    ...(to !== undefined && { to: toQueryTime(to, 'to') }),
  }
}

function present(event: AuditEventRow) {
  return {
    id: event.id,
    at: showTime(event.at),
    organization_id: event.organizationId,
    actor: { id: event.actorId, kind: event.actorKind, name: event.actorName },
    action: event.action,
    target:
      event.targetKind === null
        ? null
        : { id: event.targetId, kind: event.targetKind, name: event.targetName },
    changes: event.changes,
    reason: event.reason,
    ip: event.ip,
    user_agent: event.userAgent,
    request_id: event.requestId,
  }
}
