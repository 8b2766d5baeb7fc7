import { createClientKind, createClientVerifier, EXPLICIT_TYPE } from '../assertion/client.ts'
import { explainAssertion, type Findings } from '../assertion/explain.ts'
import {
  type AssertionUse,
  type ExplainedToken,
  type ExplainRequest,
  type Explanation,
  openProtocol,
  type Protocol,
} from '../assertion/explanation.ts'
import { createGrantKind, createGrantVerifier } from '../assertion/grant.ts'
import { createAssertionVerifier } from '../assertion/verify.ts'
import { type Clock, toNumericDate } from '../clock.ts'
import type { Forecast, ForecastLookup } from '../database/queries/forecast.ts'
import type { Issuer, IssuerKey, IssuerLookup } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'
import { type Form, findAll, findOne } from '../http/form.ts'
import { normalizeType, parseCompact } from '../jwt/compact.ts'
import { type GrantDecision, requireRecorded } from '../tokens/issue.ts'
import { toQuotaState } from '../tokens/quota.ts'
import { parseScope } from '../tokens/scope.ts'
import { resolveTarget, type Target } from '../tokens/target.ts'
import { clientOf } from './client-authentication.ts'
import * as clientCredentials from './grants/client-credentials.ts'
import * as jwtBearer from './grants/jwt-bearer.ts'
import type { Sender } from './grants/sender.ts'
import { bindToken } from './sender-constraint.ts'
import { tellOf } from './wire.ts'

export type ExplainServices = {
  clock: Clock
  /** The issuer identifier, and the token endpoint. */
  audiences: { issuer: string; tokenEndpoint: string }
  findIssuer: (lookup: IssuerLookup) => Promise<Issuer | undefined>
  forecastGrant: (lookup: ForecastLookup) => Promise<Forecast>
}

/** What is explained is an assertion, without whatever else a request may prove. */
const NO_POSSESSION = { proof: undefined, certificate: undefined }

/**
 * Builds the explanation of assertions: how a token request with one would end if it was sent now, and why. The verdict
 * is the token endpoint's own: its functions judge the assertion, in its order, as far as the record that would be
 * made. That is foreseen instead: no `jti` is claimed, nothing is counted, issued, logged or kept. Beside the verdict
 * every single check is told, also those after the first that fails.
 *
 * Accounts of other organizations are not known, as if they did not exist: nothing that is said of an assertion
 * depends on them (promise 9).
 */
export function createExplainer(services: ExplainServices) {
  return async function explain(request: ExplainRequest): Promise<Explanation> {
    const now = services.clock.now()
    const { assertion, organizationId, kind = kindOf(assertion) } = request
    const sent = { assertion, form: formOf(request), now }
    // One look-up serves the verdict and the single checks, so that both see the same.
    const forecast = once(services.forecastGrant)
    const options = {
      findIssuer: once(findWithin(organizationId, services.findIssuer)),
      audiences: services.audiences,
    }
    const protocol = openProtocol()

    const refusal = await refusalOf(async () => {
      const decision = await (kind === 'grant' ? decideGrant : decideClient)(sent, options)
      bindToken(decision, NO_POSSESSION)
      assertRecordable(decision, await forecast(toLookup(decision, now)), now)
    })
    const findings = await (kind === 'grant'
      ? explainAssertion(assertion, createGrantKind(options), now, protocol)
      : explainAssertion(assertion, createClientKind(options), now, protocol))
    const target = explainTarget(kind, findings, sent.form, protocol)
    await explainRecord(findings, forecast, now, protocol)

    const { jwt, issuer, key } = findings
    return {
      kind,
      now: toNumericDate(now),
      checks: protocol.checks,
      refusal,
      told: refusal && tellOf(refusal),
      jwt: jwt && { header: jwt.header, claims: jwt.claims },
      account: issuer && { id: issuer.accountId, name: issuer.accountName },
      key,
      token: issuer && target && toToken(kind, issuer, findings, target),
    }
  }
}

type Sent = { assertion: string; form: Form; now: number }
type VerifierOptions = Pick<ExplainServices, 'findIssuer' | 'audiences'>

/** As the grant `jwt-bearer` does, by a verifier whose clock stands still. */
function decideGrant({ form, now }: Sent, options: VerifierOptions): Promise<GrantDecision> {
  const verifyAssertion = createAssertionVerifier({ now: () => now })
  const verifyGrant = createGrantVerifier({ verifyAssertion, ...options })
  return jwtBearer.decide({ form, client: undefined }, { verifyGrant })
}

/** As the grant `client_credentials` does for who authenticates by assertion. */
async function decideClient(
  { assertion, form, now }: Sent,
  options: VerifierOptions,
): Promise<GrantDecision> {
  const verifyAssertion = createAssertionVerifier({ now: () => now })
  const verified = await createClientVerifier({ verifyAssertion, ...options })(assertion)
  return clientCredentials.decide({ form, client: clientOf(verified, options.audiences.issuer) })
}

/** What the token would be for; open where nobody may get one. */
function explainTarget(
  kind: AssertionUse,
  { jwt, issuer, key, subject }: Findings,
  form: Form,
  { judge }: Protocol,
): Target | undefined {
  const resources = findAll(form, 'resource')
  const scope = findOne(form, 'scope')
  const ceiling = kind === 'grant' ? jwt?.claims.scope : undefined
  const canFind = typeof subject === 'string' && (ceiling === undefined || typeof ceiling === 'string')
  const target = judge(
    'target',
    { resources, scope: scope ?? null, access: issuer?.access ?? [] },
    issuer && canFind
      ? () =>
          kind === 'grant'
            ? jwtBearer.findTarget(issuer, { subject, scope: ceiling }, resources, scope)
            : resolveTarget(issuer.access, resources, parseScope(scope))
      : undefined,
  )
  const requiresProof = issuer?.assertionPolicy.requireDpop ?? false
  judge(
    'proof',
    { isRequired: requiresProof },
    issuer && target && (() => bindToken({ ...senderOf(issuer, key), target, requiresProof }, NO_POSSESSION)),
  )
  return target
}

/** Whether the grant would be recorded: the limit of the account first, then the `jti`, as `record_grants` judges. */
async function explainRecord(
  { issuer, key, jti, expiresAt }: Findings,
  forecast: ExplainServices['forecastGrant'],
  now: number,
  { judge }: Protocol,
): Promise<void> {
  const grant = issuer &&
    expiresAt !== undefined && {
      ...senderOf(issuer, key),
      assertion: { jti, expiresAt },
      told: {},
      tokenRequestsPerMinute: issuer.tokenRequestsPerMinute,
    }
  const found = grant ? await forecast(toLookup(grant, now)) : undefined
  judge(
    'limit',
    { limit: issuer?.tokenRequestsPerMinute ?? null, requests: found?.requests ?? null },
    grant && found ? () => assertRecordable(grant, { ...found, use: undefined }, now) : undefined,
  )
  judge(
    'replay',
    { jti: jti ?? null, tokenId: found?.use?.tokenId ?? null, requestId: found?.use?.requestId ?? null },
    grant && found && jti !== undefined
      ? () => assertRecordable({ ...grant, tokenRequestsPerMinute: null }, found, now)
      : undefined,
  )
}

type Grant = Sender & Pick<GrantDecision, 'assertion' | 'told' | 'tokenRequestsPerMinute'>

function assertRecordable(grant: Grant, { requests, use }: Forecast, now: number): void {
  const limit = grant.tokenRequestsPerMinute
  const used = requests + 1
  const isOver = limit !== null && used > limit
  const outcome = isOver ? 'limited' : use === undefined ? 'recorded' : 'replayed'
  requireRecorded({ outcome }, grant, toQuotaState(limit, used, now))
}

function toLookup(
  { accountId, assertion }: Pick<Grant, 'accountId' | 'assertion'>,
  now: number,
): ForecastLookup {
  return {
    accountId,
    jti: assertion?.jti,
    assertionExpiresAt: (assertion?.expiresAt ?? toNumericDate(now)) * 1000,
    now,
  }
}

function senderOf({ accountId, accountName, organizationId }: Issuer, key: IssuerKey | undefined): Sender {
  return { accountId, accountName, organizationId, keyId: key?.id ?? '' }
}

/** The claims that a token would bear; for an end user neither roles nor groups, as `issueToken` has it. */
function toToken(
  kind: AssertionUse,
  { accountId }: Issuer,
  { subject }: Findings,
  { resourceServer, scope }: Target,
): ExplainedToken {
  return {
    subject: kind === 'grant' && typeof subject === 'string' ? subject : accountId,
    audience: resourceServer.identifier,
    scope,
    format: resourceServer.tokenFormat,
    lifetimeSeconds: resourceServer.tokenLifetimeSeconds,
  }
}

function formOf({ assertion, scope, resource }: ExplainRequest): Form {
  const parameters = { assertion, scope, resource }
  return new Map(
    Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]]])),
  )
}

function kindOf(assertion: string): AssertionUse {
  try {
    return normalizeType(parseCompact(assertion).header.typ) === EXPLICIT_TYPE ? 'client' : 'grant'
  } catch {
    return 'grant'
  }
}

function findWithin(
  organizationId: string,
  findIssuer: ExplainServices['findIssuer'],
): ExplainServices['findIssuer'] {
  return async (lookup) => {
    const issuer = await findIssuer(lookup)
    return issuer?.organizationId === organizationId ? issuer : undefined
  }
}

/** Asks the first time only. */
function once<Question, Answer>(
  ask: (question: Question) => Promise<Answer>,
): (question: Question) => Promise<Answer> {
  let answer: Promise<Answer> | undefined
  return (question) => {
    answer ??= ask(question)
    return answer
  }
}

async function refusalOf(run: () => Promise<void>): Promise<Refusal | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
