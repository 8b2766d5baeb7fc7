import type { ExplainedPermission } from '../../database/queries/access.ts'
import * as directory from '../../directory/effective-permissions.ts'
import { accountOf, type Call, pageOf, type Reply } from '../route.ts'

export async function listEffectivePermissions(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listEffectivePermissions(services, actor, accountOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

function present(entry: ExplainedPermission) {
  return {
    resource_server_id: entry.resourceServerId,
    resource_server_identifier: entry.resourceServerIdentifier,
    permission: entry.permission,
    direct: entry.isDirect,
    roles: entry.roles,
  }
}
