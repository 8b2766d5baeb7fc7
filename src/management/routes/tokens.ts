import type { GrantRecordRow } from '../../database/tables.ts'
import * as directory from '../../directory/issued-tokens.ts'
import { accountOf, type Call, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

/** `GET …/tokens`: one page of the account’s tokens that are good now. */
export async function listTokens(call: Call): Promise<Reply> {
  const listing = await directory.listTokens(call.services, call.actor, accountOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

/** `DELETE …/tokens`: ends all of them. */
export async function revokeAllTokens(call: Call): Promise<Reply> {
  await directory.revokeAllTokens(call.services, call.actor, accountOf(call))
  return { status: 204 }
}

/** `DELETE …/tokens/{tok}`: ends one. */
export async function revokeToken(call: Call): Promise<Reply> {
  await directory.revokeToken(call.services, call.actor, accountOf(call), call.params.tok as string)
  return { status: 204 }
}

function present(record: GrantRecordRow) {
  return {
    id: record.id,
    key_id: record.keyId,
    resource_server_id: record.resourceServerId,
    subject: record.subject,
    scope: record.scope,
    token_format: record.tokenFormat,
    issued_at: showTime(record.issuedAt),
    expires_at: showTime(record.expiresAt),
    client_ip: record.clientIp,
    user_agent: record.userAgent,
    cnf: record.confirmation,
  }
}
