import * as directory from '../../directory/audit-trail.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { toQueryTime } from '../time.ts'

type FilterQuery = Partial<
  Record<'actor' | 'target' | 'action' | 'subject' | 'request_id' | 'from' | 'to', string>
> & { include_tokens?: boolean }

/** `GET /organizations/{org}/audit-events`: one page of the trail, newest first, as far as the filter lets through. */
export async function listAuditEvents(call: Call): Promise<Reply> {
  const { services, actor } = call
  const filter = toFilter(call.query)
  if (call.prefersLines) {
    const batches = await directory.exportAuditEvents(services, actor, organizationOf(call), filter)
    return { status: 200, lines: presentBatches(batches) }
  }
  const listing = await directory.listAuditEvents(services, actor, organizationOf(call), filter, pageOf(call))
  return {
    status: 200,
    body: { items: listing.items.map(directory.presentEntry), next_cursor: listing.nextCursor },
  }
}

function toFilter(query: FilterQuery): directory.TrailFilter {
  const { from, to } = query
  return {
    actorId: query.actor,
    targetId: query.target,
    action: query.action,
    subject: query.subject,
    requestId: query.request_id,
    from: from === undefined ? undefined : toQueryTime(from, 'from'),
    to: to === undefined ? undefined : toQueryTime(to, 'to'),
    includeTokens: query.include_tokens !== false,
  }
}

async function* presentBatches(batches: AsyncIterable<directory.TrailEntry[]>): AsyncGenerator<unknown[]> {
  for await (const entries of batches) yield entries.map(directory.presentEntry)
}
