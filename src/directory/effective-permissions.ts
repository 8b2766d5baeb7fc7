import { type ExplainedPermission, explainPermissions } from '../database/queries/access.ts'
import type { Actor } from './actor.ts'
import { decodeCursor, type Listing, type PageRequest, toListing } from './pages.ts'
import { toPosition } from './permissions.ts'
import { type AccountPath, getServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

/**
 * Everything that a service account may do, and for each which role or direct grant gives it, by resource
 * server and name. Throws Refusal `resource_not_found` or `request_malformed`.
 */
export async function listEffectivePermissions(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<ExplainedPermission>> {
  const { account } = await getServiceAccount(db, actor, path)
  const after = request.cursor === undefined ? undefined : toPosition(decodeCursor(request.cursor))
  const rows = await explainPermissions(db, account.id, { limit: request.limit + 1, after })
  return toListing(request, rows, (row) => `${row.resourceServerId} ${row.permission}`)
}
