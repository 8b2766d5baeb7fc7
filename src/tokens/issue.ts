import { type Clock, toNumericDate } from '../clock.ts'
import type { GrantOutcome, NewGrantRecord } from '../database/queries/grant-records.ts'
import { GROUPS_SCOPE, type GroupMembership } from '../database/queries/groups.ts'
import type { JtiUse } from '../database/queries/used-jtis.ts'
import type { Confirmation, SigningAlgorithm } from '../database/tables.ts'
import { type PublicHint, type QuotaState, Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import type { KeyRing } from '../signing/key-ring.ts'
import { createOpaqueToken, digestSecret, signAccessToken } from './access-token.ts'
import { toGroupClaims } from './group-claims.ts'
import { toldOf, toQuotaState } from './quota.ts'
import type { Target } from './target.ts'

/** What a grant has decided: who gets a token, through which key, for what. */
export type GrantDecision = {
  accountId: string
  accountName: string
  organizationId: string
  keyId: string
  /** The account's id, or the end user for whom it acts. */
  subject: string
  /** The names of the account's roles. */
  roles: readonly string[]
  target: Target
  /**
   * The assertion that the record claims; its expiry, a NumericDate, decides where. Undefined without one; the
   * record is then kept by the time of issue, so that a look-up finds it as long as the token lives.
   */
  assertion: { jti: string | undefined; expiresAt: number } | undefined
  /** How it is told that the assertion was used before, or that what proves the client has ended meanwhile. */
  told: PublicHint
  /** How many tokens the account may ask for in a minute; null for any number. */
  tokenRequestsPerMinute: number | null
  /** Whether the account gets no token without a DPoP proof (RFC 9449 §5.2). */
  requiresProof: boolean
}

/** What the token is bound to, and the proof by which the sender has shown to be that. */
export type Binding = { confirmation: Confirmation | null; proof: JtiUse | null }

/** Where the request came from, for the trail. */
export type RequestFacts = { requestId: string; ip: string; userAgent: string | null }

export type IssuedToken = {
  id: string
  accessToken: string
  expiresInSeconds: number
  scope: string
  /** How the account stands to its limit; undefined when it has none. */
  quota: QuotaState | undefined
}

export type TokenIssuerOptions = {
  issuer: string
  keyRing: KeyRing
  clock: Clock
  /** The batched insert: once it answers `recorded`, the record is on disk. */
  recordGrant: (record: NewGrantRecord) => Promise<GrantOutcome>
  /** The batched read of at most `MAX_GROUPS` + 1 groups of an account. */
  findMembership: (accountId: string) => Promise<GroupMembership>
}

/**
 * Builds the issuing of tokens: record, sign, answer. The record is committed before the token is handed out
 * (promise 3), and the same insert claims the assertion's `jti` (promise 2) and the proof of the request, and sees
 * whether key, account and organization are still active (promise 1), and whether the account keeps to its limit. It
 * also tells which key is to sign, so that none does which was revoked before (docs/decisions/0020).
 * Throws Refusal `assertion_replayed`, `proof_replayed`, `key_disabled`, `credentials_invalid` or
 * `token_limit_reached`.
 */
export function createTokenIssuer(options: TokenIssuerOptions) {
  return async function issueToken(
    decision: GrantDecision,
    { confirmation, proof }: Binding,
    request: RequestFacts,
  ): Promise<IssuedToken> {
    const now = options.clock.now()
    const id = newId('tok', now)
    const issuedAt = toNumericDate(now)
    const { resourceServer } = decision.target
    const expiresAt = issuedAt + resourceServer.tokenLifetimeSeconds
    const scope = decision.target.scope.join(' ')

    const draft = resourceServer.tokenFormat === 'opaque' ? draftOpaque() : await draftJwt()
    const grant = await options.recordGrant({
      id,
      accountId: decision.accountId,
      keyId: decision.keyId,
      jti: decision.assertion?.jti ?? null,
      assertionExpiresAt: (decision.assertion?.expiresAt ?? issuedAt) * 1000,
      resourceServerId: resourceServer.id,
      subject: decision.subject,
      scope,
      tokenFormat: resourceServer.tokenFormat,
      tokenDigest: draft.digest,
      issuedAt: issuedAt * 1000,
      expiresAt: expiresAt * 1000,
      clientIp: request.ip,
      userAgent: request.userAgent,
      requestId: request.requestId,
      quota: decision.tokenRequestsPerMinute,
      confirmation,
      proof,
      signingAlgorithm: draft.signingAlgorithm,
    })
    const quota = toQuotaState(decision.tokenRequestsPerMinute, grant.used, options.clock.now())
    requireRecorded(grant, decision, quota)
    const accessToken = await draft.finish(grant.signingKeyId)
    return { id, accessToken, expiresInSeconds: resourceServer.tokenLifetimeSeconds, scope, quota }

    async function draftJwt(): Promise<Draft> {
      const { accountId } = decision
      const { signingAlgorithm } = resourceServer
      // Roles and groups are the account's own: they say nothing about an end user.
      const isForAnother = decision.subject !== accountId
      const claims = {
        iss: options.issuer,
        sub: decision.subject,
        aud: resourceServer.identifier,
        client_id: accountId,
        iat: issuedAt,
        exp: expiresAt,
        jti: id,
        scope,
        organization_id: decision.organizationId,
        ...(isForAnother ? { roles: [], act: { sub: accountId } } : { roles: decision.roles }),
        ...(confirmation && { cnf: confirmation }),
        ...(decision.target.scope.includes(GROUPS_SCOPE) &&
          toGroupClaims(await options.findMembership(accountId))),
      }
      return {
        digest: null,
        signingAlgorithm,
        async finish(signingKeyId) {
          if (signingKeyId === null)
            throw new Error(`there was no active signing key for ${signingAlgorithm}`)
          return signAccessToken(claims, await options.keyRing.signingKey(signingKeyId, signingAlgorithm))
        },
      }
    }
  }
}

/** A token before it is recorded. Once it is, and the record has named the key, it can be finished. */
type Draft = {
  /** Of an opaque token: its record is found by it. */
  digest: Buffer | null
  /** Of a JWT. */
  signingAlgorithm: SigningAlgorithm | null
  finish(signingKeyId: string | null): Promise<string>
}

function draftOpaque(): Draft {
  const token = createOpaqueToken()
  return { digest: digestSecret(token), signingAlgorithm: null, finish: async () => token }
}

/** Throws Refusal as `issueToken` does for a grant that was not recorded. */
export function requireRecorded(
  { outcome }: Pick<GrantOutcome, 'outcome'>,
  decision: Pick<
    GrantDecision,
    'accountId' | 'accountName' | 'organizationId' | 'keyId' | 'assertion' | 'told'
  >,
  quota: QuotaState | undefined,
): void {
  const { accountId, accountName, organizationId, keyId, assertion, told } = decision
  const sender = { accountId, accountName, organizationId, keyId }
  switch (outcome) {
    case 'recorded':
      return
    case 'replayed':
      throw new Refusal('assertion_replayed', { ...sender, jti: assertion?.jti }, told)
    case 'proof_replayed':
      throw new Refusal('proof_replayed', sender)
    case 'limited':
      throw new Refusal('token_limit_reached', { ...sender, limit: quota?.limit }, toldOf(quota))
    case 'ended': {
      // Without an assertion the key was the client's own credential.
      const reason = assertion === undefined ? 'credentials_invalid' : 'key_disabled'
      throw new Refusal(reason, { ...sender, fact: 'ended while the token was made' }, told)
    }
  }
}
