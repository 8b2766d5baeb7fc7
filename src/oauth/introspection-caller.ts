import { createHash } from 'node:crypto'
import type { VerifiedCaller } from '../assertion/client.ts'
import type { NamedResourceServer } from '../database/queries/introspection-callers.ts'
import type { CallerJtiUse } from '../database/queries/used-jtis.ts'
import { INTROSPECT_PERMISSION } from '../directory/management-permissions.ts'
import { Refusal } from '../errors.ts'
import { parseBearer } from '../http/authorization.ts'
import { type Form, findOne } from '../http/form.ts'
import type { Presentation } from '../tokens/binding.ts'
import type { Inspection } from '../tokens/inspect.ts'
import type { Presenter } from '../tokens/inspect-api-token.ts'
import { findCredentials } from './credentials.ts'

/** Methods of `introspection_endpoint_auth_methods_supported`; a token is named by its type (RFC 8414 §2). */
export const INTROSPECTION_METHODS = ['client_secret_basic', 'private_key_jwt', 'Bearer'] as const

/** Who presented the token to the resource server that asks: it does not say. */
export const UNSEEN: Presenter = { ip: null, userAgent: null }

/** The resource server that asks, and what it may be told about: tokens whose audience it is. */
export type IntrospectionCaller = { resourceServerId: string; via: 'secret' | 'assertion' | 'token' }

export type IntrospectionCallerServices = {
  /** The id of the resource server that has this name and secret; undefined when none has. Costs the same for an unknown one. */
  findResourceServerBySecret: (named: NamedResourceServer, secret: string) => Promise<string | undefined>
  /** Throws Refusal with a reason of the assertion, told as one of the caller's authentication. */
  verifyCallerAssertion: (assertion: string) => Promise<VerifiedCaller>
  /** The batched claim: once it answers true, it is on disk that this was the first use. */
  claimCallerJti: (use: CallerJtiUse) => Promise<boolean>
  inspectToken: (token: string, presented: Presentation) => Promise<Inspection>
}

/** The parts of a request that say who asks; `certificate` is the thumbprint of the one that the caller has. */
export type CallerRequest = {
  authorization: string | undefined
  certificate: string | undefined
  form: Form
}

/**
 * Authenticates whoever asks at the introspection endpoint (RFC 7662 §2.1): a resource server by its secret or
 * by an assertion (RFC 7523 §2.2), or an account whose access token says `tokens:introspect` for that resource
 * server. Throws Refusal.
 */
export async function authenticateIntrospectionCaller(
  { authorization, certificate, form }: CallerRequest,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const credentials = findCredentials(authorization, form)
  switch (credentials?.method) {
    case undefined:
      throw new Refusal('credentials_missing')
    case 'client_secret_basic':
      return callerBySecret(credentials.clientId, credentials.secret, form, services)
    case 'Bearer':
      return callerByToken(parseBearer(credentials.authorization), { certificate, form }, services)
    case 'private_key_jwt':
      return callerByAssertion(credentials.assertion, form, services).catch(challenge)
    case 'client_secret_post':
      throw new Refusal('credentials_invalid', { method: credentials.method }, { scheme: 'basic' })
  }
}

async function callerBySecret(
  id: string,
  secret: string,
  form: Form,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const clientId = findOne(form, 'client_id')
  if (clientId !== undefined && clientId !== id) {
    throw new Refusal('request_malformed', {}, { hint: 'client_id is not the client that authenticated.' })
  }
  const resourceServerId = await services.findResourceServerBySecret({ id }, secret)
  if (resourceServerId === undefined)
    throw new Refusal('credentials_invalid', { clientId: id.slice(0, 100) }, { scheme: 'basic' })
  return { resourceServerId, via: 'secret' }
}

/** The assertion is used up when all of it holds (promise 2). */
async function callerByAssertion(
  assertion: string,
  form: Form,
  { verifyCallerAssertion, claimCallerJti }: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const { issuer, key, claims } = await verifyCallerAssertion(assertion)
  const { resourceServerId } = issuer
  const { jti, expiresAt } = claims
  const clientId = findOne(form, 'client_id')
  if (clientId !== undefined && clientId !== resourceServerId) {
    const detail = { resourceServerId, received: clientId.slice(0, 100) }
    throw new Refusal('client_mismatch', detail, { asClient: true })
  }
  const digest = createHash('sha256').update(jti).digest()
  const use = { owner: resourceServerId, digest, expiresAt: expiresAt * 1000, keyId: key.id }
  if (!(await claimCallerJti(use)))
    throw new Refusal('assertion_replayed', { resourceServerId, keyId: key.id, jti }, { asClient: true })
  return { resourceServerId, via: 'assertion' }
}

/** RFC 7662 §2.3: whose credentials fail here is answered 401, wherever they stood, and so with a challenge. */
function challenge(error: unknown): never {
  if (!(error instanceof Refusal) || error.told.asClient === undefined) throw error
  throw new Refusal(error.reason, error.detail, { ...error.told, scheme: 'basic' })
}

/**
 * RFC 7662 §2.3: also a token without the permission is answered 401. The introspected token never authorizes itself,
 * and one that is bound by DPoP authorizes nothing here, where no proofs are taken.
 */
async function callerByToken(
  token: string,
  { certificate, form }: Pick<CallerRequest, 'certificate' | 'form'>,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const inspection = await services.inspectToken(token, { scheme: 'Bearer', certificate })
  if (!inspection.active)
    throw new Refusal(
      'token_invalid',
      { why: inspection.why, tokenId: inspection.tokenId },
      { scheme: 'bearer' },
    )
  const { scope, resourceServerId, id } = inspection.token
  if (!scope.includes(INTROSPECT_PERMISSION.name))
    throw new Refusal('permission_missing', { tokenId: id, scope }, { scheme: 'bearer' })
  if (findOne(form, 'token') === token)
    throw new Refusal(
      'token_invalid',
      { fact: 'a token cannot authorize its own introspection' },
      { scheme: 'bearer' },
    )
  return { resourceServerId, via: 'token' }
}
