import {
  type GrantablePermission,
  listPermissions as queryPermissions,
} from '../database/queries/permissions.ts'
import type { Actor } from './actor.ts'
import { readGrantJudge } from './granting.ts'
import { decodeCursor, type Listing, type PageRequest, toListing } from './pages.ts'
import { getOrganization } from './reach.ts'
import type { DirectoryServices } from './services.ts'

/** A permission, and whether the one who asks may give it. */
export type ListedPermission = GrantablePermission & { grantable: boolean }

/**
 * Everything that accounts of an organization can be given, by resource server and name.
 * Throws Refusal `resource_not_found` or `request_malformed`.
 */
export async function listPermissions(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
  request: PageRequest,
): Promise<Listing<ListedPermission>> {
  await getOrganization(db, actor, organizationId)
  const after = request.cursor === undefined ? undefined : toPosition(decodeCursor(request.cursor))
  const rows = await queryPermissions(db, { limit: request.limit + 1, after })
  const mayGive = await readGrantJudge(db, actor)
  const listed = rows.map((row) => ({
    ...row,
    grantable: mayGive.permission({ resourceServerId: row.resourceServerId, permission: row.name }),
  }))
  return toListing(request, listed, (row) => `${row.resourceServerId} ${row.name}`)
}

/** Where such a list goes on. Neither an id nor a scope token has a space (RFC 6749 §3.3). */
export function toPosition(text: string) {
  const [resourceServerId = '', permission = ''] = text.split(' ')
  return { resourceServerId, permission }
}
