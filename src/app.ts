import type { IncomingMessage, RequestListener } from 'node:http'
import express, { type ErrorRequestHandler } from 'express'
import type { Logger } from 'pino'
import { createCallerVerifier, createClientVerifier } from './assertion/client.ts'
import { createGrantVerifier } from './assertion/grant.ts'
import { createAssertionVerifier } from './assertion/verify.ts'
import { createOpenidProviders } from './authentication/openid-provider.ts'
import { createPasswordHasher } from './authentication/password.ts'
import { createSignInThrottle } from './authentication/sign-in-throttle.ts'
import type { Clock } from './clock.ts'
import { createConsole } from './console/router.ts'
import { createBatch } from './database/batch.ts'
import type { DatabaseConnection } from './database/connect.ts'
import { readSchemaState } from './database/migrate.ts'
import { type ApiTokenLookup, findApiTokens } from './database/queries/api-tokens.ts'
import { forecastGrant } from './database/queries/forecast.ts'
import {
  findTokens,
  type NewGrantRecord,
  recordGrants,
  type TokenLookup,
} from './database/queries/grant-records.ts'
import { findMemberships } from './database/queries/groups.ts'
import { findIntrospectionCallers, type SecretLookup } from './database/queries/introspection-callers.ts'
import { findIssuers, type IssuerLookup } from './database/queries/issuers.ts'
import { type CallerLookup, findCallers } from './database/queries/resource-server-keys.ts'
import { findAnswerAlgorithms } from './database/queries/resource-servers.ts'
import {
  type AccountJtiUse,
  type CallerJtiUse,
  claimAccountJtis,
  claimCallerJtis,
  claimJtis,
  type JtiUse,
} from './database/queries/used-jtis.ts'
import { revokeOwnToken } from './directory/issued-tokens.ts'
import { createKeyPairGenerator } from './directory/key-pair.ts'
import { createRefusalTrail } from './directory/refusal-trail.ts'
import type { RefusedAction } from './directory/refusals.ts'
import { findCertificateHeader } from './http/client-certificate.ts'
import { toRefusal } from './http/fault.ts'
import { createHealthRouter, type Unreadiness } from './http/health.ts'
import { inOriginForm } from './http/origin-form.ts'
import { createReferencePage } from './http/reference-page.ts'
import type { RefusalFloor } from './http/refusal-floor.ts'
import { type Answer, contextOf, createRequestContext, noteRefusal } from './http/request-context.ts'
import type { Tarpit } from './http/tarpit.ts'
import { createTrustedProxies } from './http/trusted-proxy.ts'
import { createManagementRouter } from './management/router.ts'
import { createClientSecretVerifier } from './oauth/client-secret.ts'
import { createClientThrottle } from './oauth/client-throttle.ts'
import { createExplainer } from './oauth/explain.ts'
import { createIntrospectionThrottle } from './oauth/introspection-throttle.ts'
import { toEndpoints } from './oauth/metadata.ts'
import {
  createFormEndpoints,
  createMetadataRouter,
  createOAuthRouter,
  type OAuthServices,
} from './oauth/router.ts'
import { noStore } from './oauth/wire.ts'
import type { Metrics } from './observability/metrics.ts'
import { createObserver } from './observability/observe.ts'
import type { Traced } from './observability/tracing.ts'
import { thumbprintOfCertificate } from './possession/client-certificate.ts'
import { createNonces, type NoncePurpose } from './possession/nonces.ts'
import { createProofVerifier } from './possession/proof.ts'
import { createSignInRouter } from './sign-in/router.ts'
import type { KeyEncryptionKeys } from './signing/envelope.ts'
import type { KeyRing } from './signing/key-ring.ts'
import { digestSecret } from './tokens/access-token.ts'
import { MAX_GROUPS } from './tokens/group-claims.ts'
import { createTokenInspector, createTokenLocator } from './tokens/inspect.ts'
import { createApiTokenInspector } from './tokens/inspect-api-token.ts'
import { createTokenIssuer } from './tokens/issue.ts'

export type AppOptions = {
  /** The issuer identifier, as configured. */
  issuer: string
  trustedProxies: readonly string[]
  /** The header, in lower case, in which they pass on client certificates; undefined where they do not. */
  clientCertificateHeader: string | undefined
  connection: DatabaseConnection
  keyRing: KeyRing
  /** Wraps the secrets that the server itself must read again. */
  keyEncryptionKeys: KeyEncryptionKeys
  /** How old an active signing key becomes. */
  signingKeyRotationDays: number
  clock: Clock
  logger: Logger
  metrics: Metrics
  /** When the database was last put back from a backup, in milliseconds. */
  lastRestoration: () => number | undefined
  /** Shows tasks in traces; absent where there are none. */
  traced?: Traced
  /** Whether the server has begun to stop: it then says that it is not ready. */
  isDraining: () => boolean
  /** Takes what is to be done once the last request is answered. */
  atStop: (task: () => Promise<void>) => void
  /** Slows down whoever is refused all the time (http/tarpit.ts). */
  tarpit: Tarpit
  /** Gives refusals of the OAuth endpoints one time (http/refusal-floor.ts). */
  refusalFloor: RefusalFloor
  /** Also check our own answers against openapi.yaml; on in the tests. */
  validateResponses: boolean
}

/** Requests that one statement serves at most, and that may wait for the next. */
const BATCH_LIMITS = { maxItems: 256, maxWaiting: 10_000 }

/**
 * RSA pairs in the making and waiting, in this process: each keeps a core busy for a tenth of a second or more, as far as
 * nothing else has a use for it. A connection is kept for 30 seconds without a word (http/listener.ts).
 */
const KEY_GENERATION_LIMITS = {
  maxWaiting: 16,
  maxMilliseconds: 25_000,
  maxPerOrganization: 3,
}

/** Puts the application together. No logic: only who is given what, and which path leads where. */
export function createApp(options: AppOptions): RequestListener {
  const { connection, clock, keyRing, keyEncryptionKeys, metrics, issuer } = options
  const endpoints = toEndpoints(issuer)
  const basePath = new URL(issuer).pathname.replace(/\/$/, '')
  const traced: Traced = options.traced ?? ((_name, task) => task)
  const batched = <Item, Outcome>(
    name: Parameters<Metrics['batch']>[0],
    run: (items: readonly Item[]) => Promise<readonly Outcome[]>,
  ) =>
    traced(
      `database ${name}`,
      createBatch(run, { ...BATCH_LIMITS, onBatch: (size) => metrics.batch(name, size) }),
    )

  const findIssuer = batched('find_issuers', (lookups: readonly IssuerLookup[]) =>
    findIssuers(connection.pool, lookups),
  )
  const recordGrant = batched('record_grants', (grants: readonly NewGrantRecord[]) =>
    recordGrants(connection.pool, clock.now(), grants),
  )
  const findMembership = batched('find_memberships', (accountIds: readonly string[]) =>
    findMemberships(connection.pool, accountIds, MAX_GROUPS + 1),
  )
  const findToken = batched('find_tokens', (lookups: readonly TokenLookup[]) =>
    findTokens(connection.pool, clock.now(), lookups),
  )
  const findApiToken = batched('find_api_tokens', (lookups: readonly ApiTokenLookup[]) =>
    findApiTokens(connection.pool, clock.now(), lookups),
  )
  const findCallerKeys = batched('find_caller_keys', (lookups: readonly CallerLookup[]) =>
    findCallers(connection.pool, lookups),
  )
  const claimAccountJti = batched('claim_account_jtis', (uses: readonly AccountJtiUse[]) =>
    claimAccountJtis(connection.pool, clock.now(), uses),
  )
  const claimCallerJti = batched('claim_caller_jtis', (uses: readonly CallerJtiUse[]) =>
    claimCallerJtis(connection.pool, clock.now(), uses),
  )
  const findAnswerAlgorithm = batched('find_answer_algorithms', (ids: readonly string[]) =>
    findAnswerAlgorithms(connection.pool, ids),
  )
  const findCaller = batched('find_callers', (lookups: readonly SecretLookup[]) =>
    findIntrospectionCallers(connection.pool, lookups),
  )

  const claimUse = batched('claim_jtis', (uses: readonly JtiUse[]) => claimJtis(connection.pool, uses))

  const locateToken = createTokenLocator({ issuer, keyRing, clock, findToken })
  const inspectToken = createTokenInspector({ clock, locateToken })
  const inspectApiToken = createApiTokenInspector({ clock, findApiToken })
  const createProofServices = (purpose: NoncePurpose) => {
    const nonces = createNonces({ keyEncryptionKeys, purpose, clock })
    return { nonces, verifyProof: createProofVerifier({ nonces, clock }) }
  }
  const trustedProxies = createTrustedProxies(options.trustedProxies)
  const findCertificate = (req: IncomingMessage): string | undefined => {
    const header = findCertificateHeader(req, options.clientCertificateHeader, trustedProxies)
    return header === undefined ? undefined : thumbprintOfCertificate(header)
  }
  const onBug = (error: unknown, res: Answer): void => {
    options.logger.error({ err: error, requestId: contextOf(res).requestId }, 'unexpected error')
  }

  const createTrail = (refused: RefusedAction) => {
    const onFailure = (err: unknown) => options.logger.warn({ err }, 'refusal not recorded')
    const trail = createRefusalTrail({ db: connection.db, clock, refused, onFailure })
    options.atStop(() => trail.close())
    return trail
  }

  const verifyAssertion = traced('assertion', createAssertionVerifier(clock, options.lastRestoration))
  const oauth: OAuthServices = {
    issuer,
    endpoints,
    keyRing,
    verifyClientSecret: createClientSecretVerifier({ findIssuer, clock }),
    clientThrottle: createClientThrottle(),
    verifyClientAssertion: createClientVerifier({ verifyAssertion, findIssuer, audiences: endpoints }),
    claimAccountJti,
    verifyGrant: createGrantVerifier({ verifyAssertion, findIssuer, audiences: endpoints }),
    ...createProofServices('token endpoint'),
    findCertificate,
    issueToken: createTokenIssuer({ issuer, keyRing, clock, recordGrant, findMembership }),
    locateToken,
    revokeToken: (account, tokenId, request) =>
      revokeOwnToken({ db: connection.db, clock }, account, tokenId, request),
    inspectToken,
    inspectApiToken,
    verifyCallerAssertion: createCallerVerifier({ verifyAssertion, findCaller: findCallerKeys, issuer }),
    claimCallerJti,
    clock,
    findAnswerAlgorithm,
    findResourceServerBySecret: (named, secret) =>
      findCaller({ named, digest: digestSecret(secret), now: clock.now() }),
    throttle: createIntrospectionThrottle(),
    tarpit: options.tarpit,
    refusalFloor: options.refusalFloor,
    trail: createTrail({ action: 'token.refused', askedBy: 'sender of a token request' }),
    revocationTrail: createTrail({
      action: 'token.revocation_refused',
      askedBy: 'sender of a revocation request',
    }),
    onBug,
  }
  const formEndpoints = createFormEndpoints(oauth)
  // One generator: the limits are of the process, whichever door is asked.
  const generateKeyPair = createKeyPairGenerator(KEY_GENERATION_LIMITS)
  const management = createManagementRouter({
    db: connection.db,
    clock,
    issuer,
    keyEncryptionKeys,
    signingKeyRotationDays: options.signingKeyRotationDays,
    inspectToken,
    inspectApiToken,
    ...createProofServices('management API'),
    findCertificate,
    claimUse,
    generateKeyPair,
    validateResponses: options.validateResponses,
    tarpit: options.tarpit,
    onBug,
  })
  const authentication = {
    db: connection.db,
    clock,
    issuer,
    keyEncryptionKeys,
    passwords: createPasswordHasher(),
    throttle: createSignInThrottle(),
    openid: createOpenidProviders({ clock, keyEncryptionKeys }),
    refusals: createTrail({ action: 'administrator.sign_in_refused', askedBy: 'somebody at the sign-in' }),
  }
  const signIn = createSignInRouter({
    ...authentication,
    validateResponses: options.validateResponses,
    tarpit: options.tarpit,
    onBug,
  })
  const explain = createExplainer({
    clock,
    audiences: endpoints,
    findIssuer,
    forecastGrant: (lookup) => forecastGrant(connection.db, lookup),
  })
  const consolePages = createConsole({
    ...authentication,
    signingKeyRotationDays: options.signingKeyRotationDays,
    generateKeyPair,
    explain,
    tarpit: options.tarpit,
    onBug,
  })

  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple')
  // A proxy that guards /api/ must not be passed by as /API/.
  app.enable('case sensitive routing')
  app.use(basePath, createOAuthRouter(oauth, formEndpoints))
  const takesCertificates = options.clientCertificateHeader !== undefined
  app.use(createMetadataRouter({ endpoints, takesCertificates, onBug }))
  app.use(createHealthRouter(createReadiness(options)))
  app.use(basePath, createReferencePage())
  app.use(`${basePath}/api/v1`, management)
  app.use(`${basePath}/sign-in`, signIn)
  app.use(`${basePath}/console`, consolePages)
  app.use((_req, res) => {
    noStore(res)
    res.status(404).json({ error: 'not_found', error_description: 'There is nothing at this path.' })
  })
  app.use(answerErrors(onBug))

  const openContext: ReturnType<typeof createRequestContext> = createRequestContext({
    https: issuer.startsWith('https:'),
    clock,
    trustedProxies,
  })
  const observe = createObserver({ logger: options.logger, metrics, basePath })
  /** What fails while a refusal is being told: its sender can be told nothing more. */
  const giveUp = (error: unknown, res: Answer): void => {
    onBug(error, res)
    res.destroy()
  }
  const shortcuts = new Map(Object.entries(formEndpoints).map(([path, answer]) => [basePath + path, answer]))
  return inOriginForm((req, res) => {
    openContext(req, res)
    observe(req, res)
    const shortcut = req.method === 'POST' ? shortcuts.get(req.url ?? '') : undefined
    if (shortcut === undefined) app(req, res)
    else shortcut(req, res).catch((error: unknown) => giveUp(error, res))
  })
}

/** Ready means: not stopping, the database answers, its schema is ours, and so are the keys that sign. */
function createReadiness({
  connection,
  isDraining,
  keyRing,
}: AppOptions): () => Promise<Unreadiness | undefined> {
  return async () => {
    if (isDraining()) return 'draining'
    try {
      const { pending } = await readSchemaState(connection.db)
      if (pending.length > 0) return 'migrations_pending'
      const active = keyRing.published().filter((key) => key.status === 'active')
      return active.every((key) => key.canSign) ? undefined : 'signing_key_unreadable'
    } catch {
      return 'database_unreachable'
    }
  }
}

/** For paths outside the front doors; these answer their own errors in their own form. */
function answerErrors(onBug: (error: unknown, res: Answer) => void): ErrorRequestHandler {
  return (error: unknown, _req, res, _next) => {
    const refusal = toRefusal(error)
    if (refusal === undefined) onBug(error, res)
    else noteRefusal(res, refusal)
    noStore(res)
    if (refusal?.told.allowedMethods !== undefined)
      res.setHeader('Allow', refusal.told.allowedMethods.join(', '))
    res.status(refusal?.reason === 'method_not_allowed' ? 405 : refusal === undefined ? 500 : 503)
    res.json({ error: refusal?.reason ?? 'server_error' })
  }
}
