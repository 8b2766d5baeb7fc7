import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { ApiTokenKey, Issuer, IssuerLookup } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { keyIdOfApiToken } from '../tokens/api-token.ts'
import type { ProvenKey } from './client-authentication.ts'

const MAX_CLIENT_ID_LENGTH = 320

/** Why a secret is not accepted: for the operator alone; whoever presents it learns only that it is not. */
type Fault =
  | 'malformed'
  | 'account_unknown'
  | 'secret_unknown'
  | 'organization_inactive'
  | 'account_inactive'
  | 'api_tokens_forbidden'
  | 'key_revoked'
  | 'key_disabled'
  | 'key_expired'

/**
 * Builds the verifier of client secrets, which are API tokens (RFC 6749 §2.3.1): form and checksum first, then
 * the same read that assertions share. `clientId` is the account's id or email. An unknown client costs the
 * same as a wrong secret. Throws Refusal `credentials_invalid`.
 */
export function createClientSecretVerifier(options: {
  clock: Clock
  /** The batched look-up of accounts, their keys and permissions. */
  findIssuer: (lookup: IssuerLookup) => Promise<Issuer | undefined>
}) {
  return async function verifyClientSecret(clientId: string, secret: string): Promise<ProvenKey> {
    const keyId = keyIdOfApiToken(secret)
    if (keyId === undefined || clientId.length > MAX_CLIENT_ID_LENGTH) throw refusal('malformed', clientId)
    const now = options.clock.now()
    const account = await options.findIssuer({ issuer: clientId, apiToken: keyId, now })
    if (account === undefined) throw refusal('account_unknown', clientId)
    const fault = findFault(account, digestSecret(secret), now)
    if (fault !== undefined) throw refusal(fault, clientId, { account, keyId })
    return { account, keyId }
  }
}

/** Pure: what is wrong with an account and the API token that it presents. `now` in milliseconds. */
export function findFault(account: Issuer, digest: Buffer, now: number): Fault | undefined {
  const key = account.apiToken
  if (key === undefined || !timingSafeEqual(key.digest, digest)) return 'secret_unknown'
  if (account.organizationStatus !== 'active') return 'organization_inactive'
  if (account.accountStatus !== 'active') return 'account_inactive'
  if (!account.organizationSettings.allowApiTokens) return 'api_tokens_forbidden'
  return findKeyFault(key, now)
}

function findKeyFault(key: ApiTokenKey, now: number): Fault | undefined {
  if (key.status === 'revoked') return 'key_revoked'
  if (key.status === 'disabled') return 'key_disabled'
  return key.expiresAt !== null && now >= key.expiresAt.getTime() ? 'key_expired' : undefined
}

function refusal(why: Fault, clientId: string, known?: ProvenKey): Refusal {
  return new Refusal('credentials_invalid', {
    why,
    clientId: clientId.slice(0, MAX_CLIENT_ID_LENGTH),
    ...(known && {
      keyId: known.keyId,
      accountId: known.account.accountId,
      accountName: known.account.accountName,
      organizationId: known.account.organizationId,
    }),
  })
}
