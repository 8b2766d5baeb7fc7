import { Refusal } from '../errors.ts'
import { parseBasic, schemeOf } from '../http/authorization.ts'
import { type Form, findOne } from '../http/form.ts'

const JWT_BEARER_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What a caller presents to prove who it is, by the method's name in the metadata (RFC 8414 §2). */
export type Credentials =
  | { method: 'client_secret_basic' | 'client_secret_post'; clientId: string; secret: string }
  | { method: 'private_key_jwt'; assertion: string }
  /** As it is: who takes tokens reads it. */
  | { method: 'Bearer'; authorization: string }

/**
 * The credentials of a request to an OAuth endpoint; undefined when it bears none. A `client_id` alone proves
 * nothing and is none. A client uses one method at most in each request (RFC 6749 §2.3).
 * Throws Refusal `credentials_ambiguous`, `credentials_malformed`, `credentials_invalid`, `parameter_missing` or
 * `request_malformed`.
 */
export function findCredentials(authorization: string | undefined, form: Form): Credentials | undefined {
  const secret = findOne(form, 'client_secret')
  const assertion = findClientAssertion(form)
  const places = [authorization, secret, assertion].filter((place) => place !== undefined)
  if (places.length > 1) throw new Refusal('credentials_ambiguous')
  if (authorization !== undefined) return readHeader(authorization)
  if (secret !== undefined) return readSecret(secret, findOne(form, 'client_id'))
  return assertion === undefined ? undefined : { method: 'private_key_jwt', assertion }
}

/** RFC 7521 §4.2: type and assertion go together, and we know one type. */
function findClientAssertion(form: Form): string | undefined {
  const type = findOne(form, 'client_assertion_type')
  const assertion = findOne(form, 'client_assertion')
  if (type === undefined && assertion === undefined) return undefined
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
  return assertion
}

function readHeader(authorization: string): Credentials {
  switch (schemeOf(authorization)) {
    case 'basic': {
      const { id: clientId, secret } = parseBasic(authorization)
      return { method: 'client_secret_basic', clientId, secret }
    }
    case 'bearer':
      return { method: 'Bearer', authorization }
    default:
      throw new Refusal('credentials_malformed', {}, { scheme: 'basic' })
  }
}

/** RFC 6749 §2.3.1: in the body the two go together. */
function readSecret(secret: string, clientId: string | undefined): Credentials {
  if (clientId === undefined) throw new Refusal('credentials_invalid', { fact: 'no client_id' })
  return { method: 'client_secret_post', clientId, secret }
}
