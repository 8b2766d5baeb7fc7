import type { Clock } from '../clock.ts'
import type { ApiTokenLookup, ApiTokenRecord } from '../database/queries/api-tokens.ts'
import { digestSecret } from './access-token.ts'
import { keyIdOfApiToken } from './api-token.ts'
import { findInactivity, type Inspection } from './inspect.ts'

export type ApiTokenInspectorOptions = {
  clock: Clock
  /** The batched read that joins key, account, organization and permissions, and notes the use. */
  findApiToken: (lookup: ApiTokenLookup) => Promise<ApiTokenRecord | undefined>
}

/** Who presents an API token; null where that is not known. */
export type Presenter = { ip: string | null; userAgent: string | null }

/**
 * Builds the inspection of API tokens: form and checksum first, then one read of what the database says now.
 * The answer is about one resource server, by id or identifier: `scope` is what the account may do there, and a
 * token of an account that may do nothing there is not active. Nothing is remembered (promise 1).
 */
export function createApiTokenInspector({ clock, findApiToken }: ApiTokenInspectorOptions) {
  return async function inspectApiToken(
    token: string,
    resourceServer: string,
    { ip, userAgent }: Presenter,
  ): Promise<Inspection> {
    const keyId = keyIdOfApiToken(token)
    if (keyId === undefined) return { active: false, why: 'malformed' }
    const digest = digestSecret(token)
    const record = await findApiToken({ keyId, digest, resourceServer, ip, userAgent })
    if (record === undefined) return { active: false, why: 'unknown' }
    const why = record.isAllowed ? findInactivity(record, clock.now()) : 'api_tokens_forbidden'
    return why === undefined ? { active: true, token: record } : { active: false, why, tokenId: record.id }
  }
}
