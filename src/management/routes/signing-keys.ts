import * as directory from '../../directory/signing-keys.ts'
import { type Call, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

/** `GET /signing-keys`: one page of them, with those that are gone. */
export async function listSigningKeys(call: Call): Promise<Reply> {
  const listing = await directory.listSigningKeys(call.services, call.actor, pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

/** `POST /signing-keys/rotate`: the next key of each algorithm signs from now on. */
export async function rotateSigningKeys({ services, actor }: Call): Promise<Reply> {
  const keys = await directory.rotateSigningKeys(services, actor)
  return { status: 200, body: { items: keys.map(present) } }
}

/** `POST /signing-keys/{sig}/revoke`: the end of a key, and of its tokens. */
export async function revokeSigningKey({ services, actor, params }: Call): Promise<Reply> {
  const key = await directory.revokeSigningKey(services, actor, params.sig as string)
  return { status: 200, body: present(key) }
}

function present(key: directory.SigningKey) {
  return {
    id: key.id,
    algorithm: key.algorithm,
    status: key.status,
    public_key: key.publicKey,
    created_at: showTime(key.createdAt),
    activated_at: showTime(key.activatedAt),
    retired_at: showTime(key.retiredAt),
    removed_at: showTime(key.removedAt),
    revoked_at: showTime(key.revokedAt),
    due_at: showTime(key.dueAt),
  }
}
