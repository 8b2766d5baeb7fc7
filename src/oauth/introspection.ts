import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request } from 'express'
import { type Clock, toNumericDate } from '../clock.ts'
import type { TokenRecord } from '../database/queries/grant-records.ts'
import type { SigningAlgorithm } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import { findOne, readForm, requireOne } from '../http/form.ts'
import { type Answer, contextOf, noteFacts } from '../http/request-context.ts'
import type { KeyRing, SigningKey } from '../signing/key-ring.ts'
import { looksLikeApiToken } from '../tokens/api-token.ts'
import type { Inspection } from '../tokens/inspect.ts'
import type { Presenter } from '../tokens/inspect-api-token.ts'
import { INTROSPECTION_ANSWER_TYPE, signIntrospectionAnswer } from '../tokens/introspection-answer.ts'
import {
  authenticateIntrospectionCaller,
  type IntrospectionCaller,
  type IntrospectionCallerServices,
  UNSEEN,
} from './introspection-caller.ts'
import type { IntrospectionThrottle } from './introspection-throttle.ts'
import { noStore, sendJson } from './wire.ts'

export type IntrospectionServices = IntrospectionCallerServices & {
  issuer: string
  /** The thumbprint of the certificate with which the caller has come. Throws Refusal `certificate_malformed`. */
  findCertificate: (req: IncomingMessage) => string | undefined
  inspectApiToken: (token: string, resourceServerId: string, presenter: Presenter) => Promise<Inspection>
  throttle: IntrospectionThrottle
  clock: Clock
  keyRing: Pick<KeyRing, 'activeKey'>
  /** With which algorithm a resource server wants its answers signed; undefined when it is gone. */
  findAnswerAlgorithm: (resourceServerId: string) => Promise<SigningAlgorithm | undefined>
}

const SIGNED = `application/${INTROSPECTION_ANSWER_TYPE}`

/**
 * The introspection endpoint (RFC 7662): authenticate the caller, find the token, tell the caller about it if
 * it is the token's audience. Every other answer is the same `{"active":false}`, and says no more. Whoever asks for
 * it by `Accept` gets the same as a signed JWT (RFC 9701). Refusals are thrown. Knows no request of Express.
 */
export function createIntrospectionEndpoint(services: IntrospectionServices) {
  return async (req: IncomingMessage, res: Answer): Promise<void> => {
    const form = await readForm(req, res)
    const { ip } = contextOf(res)
    const caller = await services.throttle.guardCredentials(ip, () =>
      authenticateIntrospectionCaller(
        { authorization: req.headers.authorization, certificate: services.findCertificate(req), form },
        services,
      ),
    )
    const token = requireOne(form, 'token')
    findOne(form, 'token_type_hint')
    const [inspection, signingKey] = await Promise.all([
      looksLikeApiToken(token)
        ? services.inspectApiToken(token, caller.resourceServerId, UNSEEN)
        : services.inspectToken(token, { scheme: 'elsewhere' }),
      prefersSigned(req) ? findSigningKey(caller, services) : undefined,
    ])
    await services.throttle.assertNotFishing(caller.resourceServerId, inspection)

    const isAudience = inspection.active && inspection.token.resourceServerId === caller.resourceServerId
    noteFacts(res, { callerId: caller.resourceServerId, via: caller.via, ...toFacts(inspection, isAudience) })
    noStore(res)
    const answer = isAudience ? toActiveAnswer(inspection.token, services.issuer) : { active: false }
    if (signingKey === undefined) sendJson(res, 200, answer)
    else await sendSigned(res, answer, caller, signingKey, services)
  }
}

/** RFC 9701 §4. Whoever takes either, or does not say, gets JSON. */
function prefersSigned(req: IncomingMessage): boolean {
  const { accept } = req.headers
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return false
  // Looks at the headers alone.
  return express.request.accepts.call(req as Request, 'application/json', SIGNED) === SIGNED
}

async function findSigningKey(
  { resourceServerId }: IntrospectionCaller,
  { findAnswerAlgorithm, keyRing }: IntrospectionServices,
): Promise<SigningKey> {
  const algorithm = await findAnswerAlgorithm(resourceServerId)
  if (algorithm !== undefined) return keyRing.activeKey(algorithm)
  throw new Refusal('credentials_invalid', { resourceServerId, fact: 'ended meanwhile' }, { scheme: 'basic' })
}

async function sendSigned(
  res: ServerResponse,
  answer: Record<string, unknown>,
  { resourceServerId }: IntrospectionCaller,
  key: SigningKey,
  { issuer, clock }: IntrospectionServices,
): Promise<void> {
  const claims = { iss: issuer, aud: resourceServerId, iat: toNumericDate(clock.now()) }
  const jwt = await signIntrospectionAnswer({ ...claims, token_introspection: answer }, key)
  // Not by `send`, which would add a charset: a JWT has none.
  res.setHeader('Content-Type', SIGNED)
  res.end(jwt)
}

/** The members of RFC 7662 §2.2 and of http-contract, times as whole seconds. */
function toActiveAnswer(token: TokenRecord, issuer: string) {
  const issuedAt = toNumericDate(token.issuedAt.getTime())
  return {
    active: true,
    scope: token.scope.join(' '),
    client_id: token.accountId,
    username: token.accountName,
    token_type: token.confirmation !== null && 'jkt' in token.confirmation ? 'DPoP' : 'Bearer',
    // An API token may have no end; none is made up, so that nobody keeps the answer until then.
    ...(token.expiresAt !== null && { exp: toNumericDate(token.expiresAt.getTime()) }),
    iat: issuedAt,
    nbf: issuedAt,
    sub: token.subject,
    aud: token.audience,
    iss: issuer,
    jti: token.id,
    organization_id: token.organizationId,
    key_id: token.keyId,
    ...(token.confirmation && { cnf: token.confirmation }),
    ...toStanding(token),
  }
}

/** Roles and groups are the account's own: of an end user, for whom it acts, they say nothing. */
function toStanding({ accountId, subject, roles, groups, groupsAdministrator }: TokenRecord) {
  return subject === accountId
    ? { roles, groups, groups_administrator: groupsAdministrator }
    : { roles: [], groups: [], groups_administrator: null, act: { sub: accountId } }
}

/** The operator's voice: why an answer was «inactive». */
function toFacts(inspection: Inspection, isAudience: boolean): Record<string, unknown> {
  if (!inspection.active) return { inactive: inspection.why, tokenId: inspection.tokenId }
  return { tokenId: inspection.token.id, ...(isAudience ? {} : { inactive: 'other_audience' }) }
}
