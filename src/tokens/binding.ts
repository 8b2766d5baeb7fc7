import type { Confirmation } from '../database/tables.ts'

/** How a token is presented, and what its sender has proven to hold with the same request. */
export type Presentation =
  | {
      scheme: 'Bearer'
      /** The thumbprint of the sender's client certificate; undefined without one. */
      certificate: string | undefined
    }
  /** With a proof that holds, by the key with that thumbprint. */
  | { scheme: 'DPoP'; jkt: string }
  /** To a resource server, which asks about it and judges by `cnf` what it has seen. */
  | { scheme: 'elsewhere' }

/** Why a token that holds is not for whoever presents it. */
export type Misuse = 'bound_to_key' | 'bound_to_certificate' | 'not_bound'

/**
 * What is wrong with presenting a token so, by what it is bound to: a bound token is never a Bearer token
 * (RFC 9449 §7.2, RFC 8705 §3), and one that is not bound never passes for it. Pure.
 */
export function findMisuse(confirmation: Confirmation | null, presented: Presentation): Misuse | undefined {
  if (presented.scheme === 'elsewhere') return undefined
  if (confirmation === null) return presented.scheme === 'DPoP' ? 'not_bound' : undefined
  if ('jkt' in confirmation) {
    return presented.scheme === 'DPoP' && presented.jkt === confirmation.jkt ? undefined : 'bound_to_key'
  }
  const isHolder = presented.scheme === 'Bearer' && presented.certificate === confirmation['x5t#S256']
  return isHolder ? undefined : 'bound_to_certificate'
}
