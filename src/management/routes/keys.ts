import type { KeyAlgorithm, KeyRow } from '../../database/tables.ts'
import type { ModulusLength } from '../../directory/key-pair.ts'
import * as directory from '../../directory/keys.ts'
import type { KeyFormat, KeyRequest, KeySecret } from '../../directory/prepared-key.ts'
import { accountOf, type Call, pageOf, type Reply } from '../route.ts'
import { showTime, toTime } from '../time.ts'

type KeyInput = { name?: string; not_before?: string | null; expires_at?: string | null } & (
  | { type: 'rsa'; algorithm?: 'RS256' | 'PS256'; modulus_length?: ModulusLength; format?: KeyFormat }
  | { type: 'public_key'; public_key: string | Record<string, unknown>; algorithm?: KeyAlgorithm }
  | { type: 'api_token' }
)

/** `GET …/keys`: one page of the account’s keys; revoked ones when `include_revoked` asks for them. */
export async function listKeys(call: Call): Promise<Reply> {
  const { services, actor, query } = call
  const options = { includeRevoked: query.include_revoked === true }
  const listing = await directory.listKeys(services, actor, accountOf(call), options, pageOf(call))
  const now = services.clock.now()
  const items = listing.items.map((key) => presentKey(key, now))
  return { status: 200, body: { items, next_cursor: listing.nextCursor } }
}

/** `POST …/keys`: generates or registers a key; a secret is in this answer alone. */
export async function createKey(call: Call): Promise<Reply> {
  const path = accountOf(call)
  const created = await directory.createKey(call.services, call.actor, path, toKeyRequest(call.body, ''))
  return {
    status: 201,
    body: presentCreatedKey(created, call.services.clock.now()),
    location: `/organizations/${path.organizationId}/service-accounts/${path.accountId}/keys/${created.key.id}`,
  }
}

/** `GET …/keys/{key}`: one key, also a revoked one. */
export async function getKey(call: Call): Promise<Reply> {
  const key = await directory.getKey(call.services, call.actor, accountOf(call), keyOf(call))
  return { status: 200, body: presentKey(key, call.services.clock.now()) }
}

/** `PATCH …/keys/{key}`: name, state or expiry. */
export async function updateKey(call: Call): Promise<Reply> {
  const { name, status, expires_at } = call.body
  const patch = { name, status, expiresAt: toTime(expires_at, '/expires_at') }
  const key = await directory.updateKey(call.services, call.actor, accountOf(call), keyOf(call), patch)
  return { status: 200, body: presentKey(key, call.services.clock.now()) }
}

/** `DELETE …/keys/{key}`: revokes it for good. */
export async function revokeKey(call: Call): Promise<Reply> {
  await directory.revokeKey(call.services, call.actor, accountOf(call), keyOf(call))
  return { status: 204 }
}

/** A key as the body asks for it; `pointer` says where in the body that stands. */
export function toKeyRequest(input: KeyInput, pointer: string): KeyRequest {
  const terms = {
    name: input.name,
    notBefore: toTime(input.not_before, `${pointer}/not_before`),
    expiresAt: toTime(input.expires_at, `${pointer}/expires_at`),
  }
  switch (input.type) {
    case 'rsa': {
      const { type, algorithm, modulus_length: modulusLength, format } = input
      return { ...terms, type, algorithm, modulusLength, format }
    }
    case 'public_key': {
      const { type, public_key: publicKey, algorithm } = input
      return { ...terms, type, publicKey, algorithm }
    }
    case 'api_token':
      return { ...terms, type: input.type }
  }
}

/** A new key, with its secret half in the form that was asked for. */
export function presentCreatedKey(
  { key, secret }: { key: KeyRow; secret: KeySecret | undefined },
  now: number,
) {
  return { key: presentKey(key, now), ...presentSecret(secret) }
}

function presentSecret(secret: KeySecret | undefined) {
  switch (secret?.format) {
    case undefined:
      return {}
    case 'json':
      return { key_file: secret.keyFile }
    case 'pem':
      return { private_key: secret.privateKeyPem }
    case 'p12':
      return { p12: secret.p12Base64, password: secret.password }
    case 'api_token':
      return { api_token: secret.apiToken }
  }
}

function presentKey(key: KeyRow, now: number) {
  return {
    id: key.id,
    account_id: key.accountId,
    name: key.name,
    type: key.type,
    kid: key.kid,
    algorithm: key.algorithm,
    modulus_length: key.modulusLength,
    thumbprint: key.thumbprint,
    public_key: key.publicKey,
    obfuscated_token: key.obfuscatedToken,
    status: directory.stateOfKey(key, now),
    not_before: showTime(key.notBefore),
    expires_at: showTime(key.expiresAt),
    created_at: showTime(key.createdAt),
    created_by: key.createdBy,
    last_used_at: showTime(key.lastUsedAt),
    last_used_ip: key.lastUsedIp,
    last_used_user_agent: key.lastUsedUserAgent,
  }
}

function keyOf({ params }: Call): string {
  return params.key as string
}
