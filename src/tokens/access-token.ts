import { createHash, randomBytes } from 'node:crypto'
import type { Confirmation } from '../database/tables.ts'
import { signJwt } from '../jwt/signature.ts'
import type { SigningKey } from '../signing/key-ring.ts'
import type { GroupClaims } from './group-claims.ts'

/** 256 random bits in 43 characters (RFC 6749 §10.10 asks for 128, recommends 160). */
const OPAQUE_BYTES = 32
const OPAQUE_PREFIX = 'cst_'
const OPAQUE = /^cst_[A-Za-z0-9_-]{43}$/
/** RFC 9068 §2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt'

/** Claims of a JWT access token (RFC 9068 §2.2). Times are NumericDates. */
export type AccessTokenClaims = {
  iss: string
  sub: string
  aud: string
  client_id: string
  iat: number
  exp: number
  /** Id of the grant record. */
  jti: string
  scope: string
  organization_id: string
  /** Names. */
  roles: readonly string[]
  /** Who acts, when that is not `sub` itself (RFC 8693 §4.1). */
  act?: { sub: string }
  /** What the token is bound to (RFC 9449 §6.1, RFC 8705 §3.1). */
  cnf?: Confirmation
} & GroupClaims

/** Signs a JWT access token; its `kid` names a key of `jwks.json`. */
export function signAccessToken(claims: AccessTokenClaims, key: SigningKey): Promise<string> {
  return signJwt({ alg: key.algorithm, typ: ACCESS_TOKEN_TYPE, kid: key.kid }, claims, key.privateKey)
}

/** A new opaque access token: `cst_` so that scanners recognise it, then randomness. */
export function createOpaqueToken(): string {
  return OPAQUE_PREFIX + randomBytes(OPAQUE_BYTES).toString('base64url')
}

/** Whether a text has the form of an opaque access token. */
export function isOpaqueToken(text: string): boolean {
  return OPAQUE.test(text)
}

/** What is stored of a secret with 256 random bits: its SHA-256, which nobody can search backwards. */
export function digestSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
