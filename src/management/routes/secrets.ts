import type { ResourceServerSecretRow } from '../../database/tables.ts'
import * as directory from '../../directory/resource-server-secrets.ts'
import { type Call, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

/** `GET /resource-servers/{rs}/secrets`: one page of them, obfuscated. */
export async function listSecrets(call: Call): Promise<Reply> {
  const { services, actor } = call
  const listing = await directory.listResourceServerSecrets(services, actor, serverOf(call), pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

/** `POST /resource-servers/{rs}/secrets`: a new secret, which is in this answer alone. */
export async function createSecret(call: Call): Promise<Reply> {
  const { services, actor, body } = call
  const request = { name: body.name }
  const { row, secret } = await directory.createResourceServerSecret(services, actor, serverOf(call), request)
  return {
    status: 201,
    body: { secret: present(row), client_id: row.resourceServerId, client_secret: secret },
    location: `/resource-servers/${row.resourceServerId}/secrets/${row.id}`,
  }
}

/** `DELETE /resource-servers/{rs}/secrets/{id}`: it stops working at once. */
export async function deleteSecret(call: Call): Promise<Reply> {
  const { services, actor, params } = call
  await directory.deleteResourceServerSecret(services, actor, serverOf(call), params.id as string)
  return { status: 204 }
}

function present(secret: ResourceServerSecretRow) {
  return {
    id: secret.id,
    resource_server_id: secret.resourceServerId,
    name: secret.name,
    obfuscated_secret: secret.obfuscated,
    created_at: showTime(secret.createdAt),
    created_by: secret.createdBy,
    last_used_at: showTime(secret.lastUsedAt),
  }
}

function serverOf({ params }: Call): string {
  return params.rs as string
}
