import { type Clock, toNumericDate } from '../clock.ts'
import type { GrantOutcome, NewGrantRecord } from '../database/queries/grant-records.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import { createOpaqueToken, digestSecret, signAccessToken } from './access-token.ts'
import type { Target } from './target.ts'

/** What a grant has decided: who gets a token, through which key, for what. */
export type GrantDecision = {
  accountId: string
  accountName: string
  organizationId: string
  keyId: string
  subject: string
  target: Target
  jti: string | undefined
  /** NumericDate: decides where the claim on the `jti` is kept. */
  assertionExpiresAt: number
}

/** Where the request came from, for the trail. */
export type RequestFacts = { requestId: string; ip: string; userAgent: string | null }

export type IssuedToken = { id: string; accessToken: string; expiresInSeconds: number; scope: string }

export type TokenIssuerOptions = {
  issuer: string
  keyRing: KeyRing
  clock: Clock
  /** The batched insert: once it answers `recorded`, the record is on disk. */
  recordGrant: (record: NewGrantRecord) => Promise<GrantOutcome>
}

/**
 * Builds the issuing of tokens: mint, record, answer. The record is committed before the token is handed out
 * (promise 3), and the same insert claims the assertion's `jti` (promise 2) and sees whether key, account and
 * organization are still active (promise 1).
 * Throws Refusal `assertion_replayed` or `key_disabled`.
 */
export function createTokenIssuer(options: TokenIssuerOptions) {
  return async function issueToken(decision: GrantDecision, request: RequestFacts): Promise<IssuedToken> {
    const now = options.clock.now()
    const id = newId('tok', now)
    const issuedAt = toNumericDate(now)
    const { resourceServer } = decision.target
    const expiresAt = issuedAt + resourceServer.tokenLifetimeSeconds
    const scope = decision.target.scope.join(' ')

    const accessToken = await mint()
    requireRecorded(
      await options.recordGrant({
        id,
        accountId: decision.accountId,
        keyId: decision.keyId,
        jti: decision.jti ?? null,
        assertionExpiresAt: decision.assertionExpiresAt * 1000,
        resourceServerId: resourceServer.id,
        subject: decision.subject,
        scope,
        tokenFormat: resourceServer.tokenFormat,
        tokenDigest: resourceServer.tokenFormat === 'opaque' ? digestSecret(accessToken) : null,
        issuedAt: issuedAt * 1000,
        expiresAt: expiresAt * 1000,
        clientIp: request.ip,
        userAgent: request.userAgent,
        requestId: request.requestId,
      }),
      decision,
    )
    return { id, accessToken, expiresInSeconds: resourceServer.tokenLifetimeSeconds, scope }

    async function mint(): Promise<string> {
      if (resourceServer.tokenFormat === 'opaque') return createOpaqueToken()
      return signAccessToken(
        {
          iss: options.issuer,
          sub: decision.subject,
          aud: resourceServer.identifier,
          client_id: decision.accountId,
          iat: issuedAt,
          exp: expiresAt,
          jti: id,
          scope,
          organization_id: decision.organizationId,
        },
        options.keyRing.signingKey(resourceServer.signingAlgorithm),
      )
    }
  }
}

function requireRecorded(outcome: GrantOutcome, decision: GrantDecision): void {
  const { accountId, accountName, organizationId, keyId } = decision
  const sender = { accountId, accountName, organizationId, keyId }
  if (outcome === 'replayed') throw new Refusal('assertion_replayed', { ...sender, jti: decision.jti })
  if (outcome === 'ended')
    throw new Refusal('key_disabled', { ...sender, fact: 'ended while the token was made' })
}
