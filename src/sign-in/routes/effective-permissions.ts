import { getSession } from '../../authentication/sessions.ts'
import * as directory from '../../directory/effective-permissions.ts'
import { type Call, pageOf, type Reply } from '../route.ts'

export async function explainMyself(call: Call): Promise<Reply> {
  const { services, secret, facts } = call
  const { record } = await getSession(services, secret, facts)
  const { items, nextCursor } = await directory.explainMyself(services, record.accountId, pageOf(call))
  return {
    status: 200,
    body: {
      items: items.map((entry) => ({
        resource_server_id: entry.resourceServerId,
        resource_server_identifier: entry.resourceServerIdentifier,
        permission: entry.permission,
        direct: entry.isDirect,
        roles: entry.roles,
      })),
      next_cursor: nextCursor,
    },
  }
}
