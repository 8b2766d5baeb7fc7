import { INTROSPECT_PERMISSION } from '../directory/management-permissions.ts'
import { Refusal } from '../errors.ts'
import { parseBasic, parseBearer, schemeOf } from '../http/authorization.ts'
import { type Form, findOne } from '../http/form.ts'
import type { Inspection } from '../tokens/inspect.ts'

const JWT_BEARER_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Methods of `token_endpoint_auth_methods_supported`: the assertion of the grant is the proof. */
export const TOKEN_ENDPOINT_METHODS = ['none'] as const
/** Methods of `introspection_endpoint_auth_methods_supported`; a token is named by its type (RFC 8414 §2). */
export const INTROSPECTION_METHODS = ['client_secret_basic', 'Bearer'] as const

/**
 * Client authentication at the token endpoint. None is needed; but credentials that are presented must hold
 * (RFC 7523 §3.1), and no account has any that this endpoint takes. Throws Refusal, `credentials_…` mostly.
 */
export function assertNoClientCredentials(authorization: string | undefined, form: Form): void {
  const place = findCredentials(authorization, form)
  if (place === undefined) return
  if (place === 'body') throw new Refusal('credentials_invalid', { where: place })
  throw new Refusal(
    'credentials_invalid',
    { scheme: schemeOf(authorization)?.slice(0, 32) },
    { scheme: 'basic' },
  )
}

/**
 * Where the client put its credentials; undefined when there are none. A client uses one method at most in
 * each request (RFC 6749 §2.3). Throws Refusal `credentials_ambiguous`.
 */
function findCredentials(authorization: string | undefined, form: Form): 'header' | 'body' | undefined {
  const methods: ('header' | 'body')[] = []
  if (authorization !== undefined) methods.push('header')
  if (findOne(form, 'client_secret') !== undefined) methods.push('body')
  if (requireWholeAssertion(form)) methods.push('body')
  if (methods.length > 1) throw new Refusal('credentials_ambiguous')
  return methods[0]
}

/** RFC 7521 §4.2: type and assertion go together, and we know one type. */
function requireWholeAssertion(form: Form): boolean {
  const type = findOne(form, 'client_assertion_type')
  const assertion = findOne(form, 'client_assertion')
  if (type === undefined && assertion === undefined) return false
  if (type === undefined || assertion === undefined) {
    throw new Refusal(
      'parameter_missing',
      {},
      { hint: 'client_assertion and client_assertion_type go together.' },
    )
  }
  if (type !== JWT_BEARER_ASSERTION) {
    throw new Refusal(
      'request_malformed',
      { type: type.slice(0, 200) },
      { hint: 'This client_assertion_type is not supported.' },
    )
  }
  return true
}

/** The resource server that asks, and what it may be told about: tokens whose audience it is. */
export type IntrospectionCaller = { resourceServerId: string; via: 'secret' | 'token' }

export type IntrospectionCallerServices = {
  /** The resource server that has this secret; undefined when none has. Costs the same for an unknown id. */
  findResourceServerBySecret: (resourceServerId: string, secret: string) => Promise<string | undefined>
  inspectToken: (token: string) => Promise<Inspection>
}

/**
 * Authenticates whoever asks at the introspection endpoint (RFC 7662 §2.1): a resource server by its secret,
 * or an account whose access token says `tokens:introspect` for that resource server. Throws Refusal.
 */
export async function authenticateIntrospectionCaller(
  authorization: string | undefined,
  form: Form,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const place = findCredentials(authorization, form)
  if (place === 'body') throw new Refusal('credentials_invalid', { where: place }, { scheme: 'basic' })
  if (authorization === undefined) throw new Refusal('credentials_missing')
  return schemeOf(authorization) === 'bearer'
    ? callerByToken(parseBearer(authorization), form, services)
    : callerBySecret(authorization, form, services)
}

async function callerBySecret(
  authorization: string,
  form: Form,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  if (schemeOf(authorization) !== 'basic') throw new Refusal('credentials_malformed', {}, { scheme: 'basic' })
  const { id, secret } = parseBasic(authorization)
  const clientId = findOne(form, 'client_id')
  if (clientId !== undefined && clientId !== id) {
    throw new Refusal('request_malformed', {}, { hint: 'client_id is not the client that authenticated.' })
  }
  const resourceServerId = await services.findResourceServerBySecret(id, secret)
  if (resourceServerId === undefined)
    throw new Refusal('credentials_invalid', { clientId: id.slice(0, 100) }, { scheme: 'basic' })
  return { resourceServerId, via: 'secret' }
}

/** RFC 7662 §2.3: also a token without the permission is answered 401. The introspected token never authorizes itself. */
async function callerByToken(
  token: string,
  form: Form,
  services: IntrospectionCallerServices,
): Promise<IntrospectionCaller> {
  const inspection = await services.inspectToken(token)
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
