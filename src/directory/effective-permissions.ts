import { type ExplainedPermission, explainPermissions } from '../database/queries/access.ts'
import type { Actor } from './actor.ts'
import { getAdministrator } from './administrator-reach.ts'
import { decodeCursor, type Listing, type PageRequest, toListing } from './pages.ts'
import { toPosition } from './permissions.ts'
import { type AccountPath, getServiceAccount } from './service-account-reach.ts'
import type { DirectoryServices } from './services.ts'

type Services = Pick<DirectoryServices, 'db'>

/**
 * Everything that a service account may do, and for each which role or direct grant gives it, by resource
 * server and name. Throws Refusal `resource_not_found` or `request_malformed`.
 */
export async function explainServiceAccount(
  { db }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<ExplainedPermission>> {
  const { account } = await getServiceAccount(db, actor, path)
  return explain(db, account.id, request)
}

/** The same of an administrator. Throws Refusal `resource_not_found` or `request_malformed`. */
export async function explainAdministrator(
  { db }: Services,
  actor: Actor,
  path: AccountPath,
  request: PageRequest,
): Promise<Listing<ExplainedPermission>> {
  const { administrator } = await getAdministrator(db, actor, path)
  return explain(db, administrator.id, request)
}

/** The same of the account that asks: nobody needs a permission for that. Throws Refusal `request_malformed`. */
export function explainMyself(
  { db }: Services,
  accountId: string,
  request: PageRequest,
): Promise<Listing<ExplainedPermission>> {
  return explain(db, accountId, request)
}

async function explain(
  db: Services['db'],
  accountId: string,
  request: PageRequest,
): Promise<Listing<ExplainedPermission>> {
  const after = request.cursor === undefined ? undefined : toPosition(decodeCursor(request.cursor))
  const rows = await explainPermissions(db, accountId, { limit: request.limit + 1, after })
  return toListing(request, rows, (row) => `${row.resourceServerId} ${row.permission}`)
}
