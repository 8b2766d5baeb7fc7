import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { Definition } from '../../directory/definitions.ts'
import * as directory from '../../directory/resource-servers.ts'
import { type Call, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

type PermissionInput = { name: string; description?: string }

/** `GET /resource-servers`: one page of them. */
export async function listResourceServers(call: Call): Promise<Reply> {
  const listing = await directory.listResourceServers(call.services, call.actor, pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

/** `POST /resource-servers`: registers an API and what it defines. */
export async function createResourceServer({ services, actor, body }: Call): Promise<Reply> {
  const server = await directory.createResourceServer(services, actor, {
    identifier: body.identifier,
    name: body.name,
    tokenFormat: body.token_format,
    signingAlgorithm: body.signing_algorithm,
    introspectionSigningAlgorithm: body.introspection_signing_algorithm,
    tokenLifetimeSeconds: body.token_lifetime_seconds,
    senderConstraints: body.sender_constraints,
    permissions: toDefinitions(body.permissions) ?? [],
  })
  return { status: 201, body: present(server), location: `/resource-servers/${server.id}` }
}

/** `GET /resource-servers/{rs}`: one resource server. */
export async function getResourceServer(call: Call): Promise<Reply> {
  const server = await directory.getResourceServer(call.services, call.actor, serverOf(call))
  return { status: 200, body: present(server) }
}

/** `PATCH /resource-servers/{rs}`: name, tokens or the whole list of permissions. */
export async function updateResourceServer(call: Call): Promise<Reply> {
  const { body } = call
  const server = await directory.updateResourceServer(call.services, call.actor, serverOf(call), {
    name: body.name,
    tokenFormat: body.token_format,
    signingAlgorithm: body.signing_algorithm,
    introspectionSigningAlgorithm: body.introspection_signing_algorithm,
    tokenLifetimeSeconds: body.token_lifetime_seconds,
    senderConstraints: body.sender_constraints,
    permissions: toDefinitions(body.permissions),
  })
  return { status: 200, body: present(server) }
}

/** `DELETE /resource-servers/{rs}`: removes it with its secrets, and ends its tokens. */
export async function deleteResourceServer(call: Call): Promise<Reply> {
  await directory.deleteResourceServer(call.services, call.actor, serverOf(call))
  return { status: 204 }
}

function toDefinitions(input: readonly PermissionInput[] | undefined): Definition[] | undefined {
  return input?.map(({ name, description = '' }) => ({ name, description }))
}

function present(server: ResourceServer) {
  return {
    id: server.id,
    identifier: server.identifier,
    name: server.name,
    token_format: server.tokenFormat,
    signing_algorithm: server.signingAlgorithm,
    introspection_signing_algorithm: server.introspectionSigningAlgorithm,
    token_lifetime_seconds: server.tokenLifetimeSeconds,
    sender_constraints: server.senderConstraints,
    permissions: server.permissions,
    built_in: server.builtIn,
    created_at: showTime(server.createdAt),
    updated_at: showTime(server.updatedAt),
  }
}

function serverOf({ params }: Call): string {
  return params.rs as string
}
