import type { ExplainedPermission } from '../../database/queries/access.ts'
import * as directory from '../../directory/effective-permissions.ts'
import type { Listing } from '../../directory/pages.ts'
import { accountOf, type Call, pageOf, type Reply } from '../route.ts'

export async function explainServiceAccount(call: Call): Promise<Reply> {
  return present(
    await directory.explainServiceAccount(call.services, call.actor, accountOf(call), pageOf(call)),
  )
}

export async function explainAdministrator(call: Call): Promise<Reply> {
  return present(
    await directory.explainAdministrator(call.services, call.actor, accountOf(call), pageOf(call)),
  )
}

/** Also what the token at hand does not bear: that is in `GET /me`. */
export async function explainMyself(call: Call): Promise<Reply> {
  return present(await directory.explainMyself(call.services, call.token.accountId, pageOf(call)))
}

function present({ items, nextCursor }: Listing<ExplainedPermission>): Reply {
  return { status: 200, body: { items: items.map(presentOne), next_cursor: nextCursor } }
}

function presentOne(entry: ExplainedPermission) {
  return {
    resource_server_id: entry.resourceServerId,
    resource_server_identifier: entry.resourceServerIdentifier,
    permission: entry.permission,
    direct: entry.isDirect,
    roles: entry.roles,
  }
}
