import type { ResourceServerKeyRow } from '../../database/tables.ts'
import { stateOfKey } from '../../directory/keys.ts'
import * as directory from '../../directory/resource-server-keys.ts'
import { type Call, pageOf, type Reply } from '../route.ts'
import { showTime, toTime } from '../time.ts'

/** `GET /resource-servers/{rs}/keys`: one page of them; revoked ones when `include_revoked` asks for them. */
export async function listResourceServerKeys(call: Call): Promise<Reply> {
  const { services, actor, query } = call
  const options = { includeRevoked: query.include_revoked === true }
  const page = pageOf(call)
  const listing = await directory.listResourceServerKeys(services, actor, serverOf(call), options, page)
  const now = services.clock.now()
  const items = listing.items.map((key) => present(key, now))
  return { status: 200, body: { items, next_cursor: listing.nextCursor } }
}

/** `POST /resource-servers/{rs}/keys`: registers a public key. */
export async function createResourceServerKey(call: Call): Promise<Reply> {
  const { services, actor, body } = call
  const key = await directory.createResourceServerKey(services, actor, serverOf(call), {
    publicKey: body.public_key,
    algorithm: body.algorithm,
    name: body.name,
    expiresAt: toTime(body.expires_at, '/expires_at'),
  })
  return {
    status: 201,
    body: present(key, services.clock.now()),
    location: `/resource-servers/${key.resourceServerId}/keys/${key.id}`,
  }
}

/** `GET /resource-servers/{rs}/keys/{key}`: one key, also a revoked one. */
export async function getResourceServerKey(call: Call): Promise<Reply> {
  const { services, actor } = call
  const key = await directory.getResourceServerKey(services, actor, serverOf(call), keyOf(call))
  return { status: 200, body: present(key, services.clock.now()) }
}

/** `PATCH /resource-servers/{rs}/keys/{key}`: name, state or expiry. */
export async function updateResourceServerKey(call: Call): Promise<Reply> {
  const { services, actor, body } = call
  const { name, status } = body
  const patch = { name, status, expiresAt: toTime(body.expires_at, '/expires_at') }
  const key = await directory.updateResourceServerKey(services, actor, serverOf(call), keyOf(call), patch)
  return { status: 200, body: present(key, services.clock.now()) }
}

/** `DELETE /resource-servers/{rs}/keys/{key}`: revokes it for good. */
export async function revokeResourceServerKey(call: Call): Promise<Reply> {
  await directory.revokeResourceServerKey(call.services, call.actor, serverOf(call), keyOf(call))
  return { status: 204 }
}

function present(key: ResourceServerKeyRow, now: number) {
  return {
    id: key.id,
    resource_server_id: key.resourceServerId,
    name: key.name,
    kid: key.kid,
    algorithm: key.algorithm,
    modulus_length: key.modulusLength,
    thumbprint: key.thumbprint,
    public_key: key.publicKey,
    status: stateOfKey(key, now),
    expires_at: showTime(key.expiresAt),
    created_at: showTime(key.createdAt),
    created_by: key.createdBy,
    last_used_at: showTime(key.lastUsedAt),
  }
}

function serverOf({ params }: Call): string {
  return params.rs as string
}

function keyOf({ params }: Call): string {
  return params.key as string
}
