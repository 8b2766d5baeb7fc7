import { type AuditFilter, listAuditEvents as queryEvents } from '../database/queries/audit-events.ts'
import type { AuditEventRow } from '../database/tables.ts'
import type { Actor } from './actor.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { getOrganization } from './reach.ts'
import type { DirectoryServices } from './services.ts'

/** An organization's audit events, newest first. Throws Refusal `resource_not_found`. */
export async function listAuditEvents(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  filter: AuditFilter,
  request: PageRequest,
): Promise<Listing<AuditEventRow>> {
  const { id } = await getOrganization(db, actor, organizationId)
  return readPage(request, (page) => queryEvents(db, id, filter, page))
}
