import * as directory from '../../directory/permissions.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'

/** `GET /organizations/{org}/permissions`: one page of all that can be granted there. */
export async function listPermissions(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listPermissions(services, actor, organizationOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

function present(permission: directory.ListedPermission) {
  return {
    resource_server_id: permission.resourceServerId,
    resource_server_identifier: permission.resourceServerIdentifier,
    resource_server_name: permission.resourceServerName,
    permission: permission.name,
    description: permission.description,
    grantable: permission.grantable,
  }
}
