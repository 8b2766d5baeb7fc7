import { signJwt } from '../jwt/signature.ts'
import type { SigningKey } from '../signing/key-ring.ts'

/** The `typ` and, below `application/`, the media type of a signed answer (RFC 9701 §5, §8.1). */
export const INTROSPECTION_ANSWER_TYPE = 'token-introspection+jwt'

/** Claims of a signed answer (RFC 9701 §5): no `sub`, no `exp`, so that it never passes for an access token. */
export type IntrospectionAnswerClaims = {
  iss: string
  /** The resource server that has asked. */
  aud: string
  /** NumericDate. */
  iat: number
  token_introspection: Readonly<Record<string, unknown>>
}

/** Signs an answer of the introspection endpoint; its `kid` names a key of `jwks.json`. */
export function signIntrospectionAnswer(claims: IntrospectionAnswerClaims, key: SigningKey): Promise<string> {
  return signJwt({ alg: key.algorithm, typ: INTROSPECTION_ANSWER_TYPE, kid: key.kid }, claims, key.privateKey)
}
