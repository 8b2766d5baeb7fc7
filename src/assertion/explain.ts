import { isNumericDate, toNumericDate } from '../clock.ts'
import type { Issuer, IssuerKey } from '../database/queries/issuers.ts'
import { parseCompact, type UnverifiedJwt } from '../jwt/compact.ts'
import { assertAccountActive, assertOrganizationActive, requireKnownAccount } from './account.ts'
import { shorten } from './claims.ts'
import type { ClaimCheck, Protocol } from './explanation.ts'
import { requireFitting, requireUsable } from './keys.ts'
import { createSignatureVerifier } from './signature.ts'
import {
  type AssertionKind,
  assertSize,
  assertType,
  MAX_ASSERTION_LENGTH,
  requireIssuerName,
} from './verify.ts'

/** A kind of assertion of accounts that can say each of its checks by itself. */
export type ExplainableKind<Claims> = AssertionKind<Issuer, Claims> & {
  /** Those of `checkClaims`, in its order. Without a known sender most are open. `now` is a NumericDate. */
  listClaimChecks(
    jwt: UnverifiedJwt,
    signed: { issuer: Issuer; key: IssuerKey } | undefined,
    now: number,
  ): readonly ClaimCheck[]
}

/** What came to light while an assertion was judged, believed or not. */
export type Findings = {
  jwt: UnverifiedJwt | undefined
  issuer: Issuer | undefined
  /** The one that signed, or the first that came into question. */
  key: IssuerKey | undefined
  /** The account or end user that it names, if it may; undefined otherwise. */
  subject: unknown
  jti: string | undefined
  /** NumericDate in whole seconds. */
  expiresAt: number | undefined
}

/**
 * The checks of `verifyAssertion`, the same functions in the same order, without stopping at the first that fails: what
 * can still be judged is. Keys that may not be used are tried too, to tell whether it is the right key in the wrong
 * state. `now` in milliseconds.
 */
export async function explainAssertion<Claims>(
  assertion: string,
  kind: ExplainableKind<Claims>,
  now: number,
  { judge }: Protocol,
): Promise<Findings> {
  const fits = judge('size', { received: assertion.length, limit: MAX_ASSERTION_LENGTH }, () => {
    assertSize(assertion)
    return true
  })
  const jwt = judge('form', {}, fits === undefined ? undefined : () => parseCompact(assertion))
  const { header, claims = {} } = jwt ?? {}
  judge(
    'typ',
    { received: header?.typ ?? null, expected: kind.types },
    jwt && (() => assertType(jwt, kind.types)),
  )

  const name = jwt && nameOf(jwt)
  const found = jwt && name !== undefined ? await kind.findIssuer(jwt, name, now) : undefined
  const issuer = judge('iss', { received: shorten(claims.iss) }, jwt && (() => requireIssuer(jwt, found)))
  const { organizationStatus, accountStatus, keys = [] } = issuer ?? {}
  judge('organization', { status: organizationStatus }, issuer && (() => assertOrganizationActive(issuer)))
  judge('account', { status: accountStatus }, issuer && (() => assertAccountActive(issuer)))

  const usable = judge('key', { kid: header?.kid ?? null }, issuer && (() => requireUsable(keys, now)))
  const tried = usable ?? keys
  const fitting = judge(
    'algorithm',
    { received: header?.alg.slice(0, 32), expected: tried.map((key) => key.algorithm) },
    jwt && tried.length > 0 ? () => requireFitting(jwt, tried) : undefined,
  )
  const signer = judge(
    'signature',
    { tried: (fitting ?? []).map((key) => key.id) },
    jwt && fitting && (() => createSignatureVerifier()(jwt, fitting)),
  )

  const key = signer ?? tried[0]
  const signed = issuer && key && { issuer, key }
  const read = new Map<string, unknown>()
  for (const check of jwt ? kind.listClaimChecks(jwt, signed, toNumericDate(now)) : []) {
    read.set(check.name, judge(check.name, check.facts, check.run))
  }
  return {
    jwt,
    issuer,
    key,
    subject: read.get('sub'),
    jti: typeof claims.jti === 'string' && read.get('jti') === claims.jti ? claims.jti : undefined,
    expiresAt: isNumericDate(claims.exp) ? Math.floor(claims.exp) : undefined,
  }
}

/** What can be looked up at all. */
function nameOf(jwt: UnverifiedJwt): string | undefined {
  try {
    return requireIssuerName(jwt)
  } catch {
    return undefined
  }
}

function requireIssuer(jwt: UnverifiedJwt, found: Issuer | undefined): Issuer {
  requireIssuerName(jwt)
  return requireKnownAccount(found)
}
