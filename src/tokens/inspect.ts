import { type Clock, toNumericDate } from '../clock.ts'
import type { TokenLookup, TokenRecord } from '../database/queries/grant-records.ts'
import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import { Refusal } from '../errors.ts'
import { isId } from '../ids.ts'
import { normalizeType, parseCompact, type UnverifiedJwt } from '../jwt/compact.ts'
import { createSignatureCheck } from '../jwt/known-signatures.ts'
import type { KeyRing, VerificationKey } from '../signing/key-ring.ts'
import { ACCESS_TOKEN_TYPE, digestSecret, isOpaqueToken } from './access-token.ts'
import { findMisuse, type Misuse, type Presentation } from './binding.ts'

/** Our own tokens stay below, even with every permission and role that the contract has room for. */
const MAX_TOKEN_LENGTH = 120_000
/** How far the clocks of two nodes may differ: one has issued what the other is asked about. */
const CLOCK_SKEW_SECONDS = 30

/** Why a token is not active: for the operator alone; whoever asks learns only that it is not. */
export type Inactivity =
  | 'malformed'
  | 'signature_invalid'
  /** It names a signing key that is not published, or not any more. */
  | 'signing_key_ended'
  | 'unknown'
  | 'not_yet_valid'
  | 'expired'
  | 'revoked'
  | 'key_ended'
  | 'account_ended'
  | 'organization_ended'
  | 'nothing_granted'
  | 'binding_unsupported'
  | Misuse
  | 'api_tokens_forbidden'

export type Inspection =
  | { active: true; token: TokenRecord }
  | { active: false; why: Inactivity; tokenId?: string }

/** The record of a token that is well formed, ours and not over; or why there is none to look at. */
export type LocatedToken = { token: TokenRecord } | { why: Inactivity }

export type TokenLocatorOptions = {
  issuer: string
  keyRing: KeyRing
  clock: Clock
  /** The batched read that joins token, key, account, organization and permissions. */
  findToken: (lookup: TokenLookup) => Promise<TokenRecord | undefined>
}

/**
 * Builds the search for access tokens, JWT and opaque alike: form and signature first, then one read of what the
 * database says now. What it finds need not be active.
 */
export function createTokenLocator(options: TokenLocatorOptions) {
  const isSignedWith = createSignatureCheck()

  return async function locateToken(token: string): Promise<LocatedToken> {
    const lookup = await toLookup(token, options.clock.now())
    if ('why' in lookup) return lookup
    const record = await options.findToken(lookup)
    return record === undefined ? { why: 'unknown' } : { token: record }
  }

  async function toLookup(token: string, now: number): Promise<TokenLookup | { why: Inactivity }> {
    if (isOpaqueToken(token)) return { digest: digestSecret(token) }
    const jwt = parseOrUndefined(token)
    if (jwt === undefined) return { why: 'malformed' }
    const { client_id: accountId, jti, exp } = jwt.claims
    const key = await options.keyRing.verificationKey(jwt.header.kid ?? '')
    if (key === undefined)
      return { why: isId('sig', jwt.header.kid ?? '') ? 'signing_key_ended' : 'signature_invalid' }
    if (!isSignedByUs(jwt, key)) return { why: 'signature_invalid' }
    if (typeof accountId !== 'string' || !isId('acc', accountId)) return { why: 'malformed' }
    if (typeof jti !== 'string' || !isId('tok', jti)) return { why: 'malformed' }
    if (typeof exp !== 'number' || toNumericDate(now) >= exp) return { why: 'expired' }
    return { accountId, id: jti, signingKeyId: key.kid }
  }

  /** RFC 9068 §4: type, key and algorithm of one of our access tokens, then the signature, then the issuer. */
  function isSignedByUs(jwt: UnverifiedJwt, key: VerificationKey): boolean {
    if (key.algorithm !== jwt.header.alg) return false
    if (normalizeType(jwt.header.typ) !== ACCESS_TOKEN_TYPE) return false
    if (!isSignedWith(jwt.compact, key.algorithm, key.publicKey)) return false
    return jwt.claims.iss === options.issuer
  }
}

/**
 * Builds the inspection of access tokens. Nothing that can change is remembered between two inspections (promise 1). Used by
 * introspection and by the management API. A token that is bound to somebody is not active for whoever presents it
 * without being them (RFC 9449 §7.2).
 */
export function createTokenInspector(options: {
  clock: Clock
  locateToken: (token: string) => Promise<LocatedToken>
}) {
  return async function inspectToken(token: string, presented: Presentation): Promise<Inspection> {
    const now = options.clock.now()
    const located = await options.locateToken(token)
    if ('why' in located) return { active: false, ...located }
    const why = findInactivity(located.token, now) ?? findMisuse(located.token.confirmation, presented)
    return why === undefined
      ? { active: true, ...located }
      : { active: false, why, tokenId: located.token.id }
  }
}

/** Pure: what the database's present answer means at `now` (milliseconds). */
export function findInactivity(record: TokenRecord, now: number): Inactivity | undefined {
  if (record.expiresAt !== null && now >= record.expiresAt.getTime()) return 'expired'
  if (record.signingKeyStatus === 'gone') return 'signing_key_ended'
  if (now + CLOCK_SKEW_SECONDS * 1000 < record.issuedAt.getTime()) return 'not_yet_valid'
  if (record.revokedAt !== null) return 'revoked'
  if (record.organizationStatus !== 'active') return 'organization_ended'
  if (record.accountStatus !== 'active') return 'account_ended'
  if (record.keyStatus !== 'active') return 'key_ended'
  if (record.keyExpiresAt !== null && now >= record.keyExpiresAt.getTime()) return 'key_ended'
  if (!record.generationIsCurrent) return 'revoked'
  if (record.scope.every((name) => name === GROUPS_SCOPE)) return 'nothing_granted'
  if (!record.bindingIsChecked) return 'binding_unsupported'
  return undefined
}

function parseOrUndefined(token: string): UnverifiedJwt | undefined {
  if (token.length > MAX_TOKEN_LENGTH) return undefined
  try {
    return parseCompact(token)
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}
