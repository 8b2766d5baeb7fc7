import type { Issuer } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'

/**
 * Refuses an account that is not there or may not act. Throws `issuer_unknown`, `organization_inactive` or
 * `account_inactive`.
 */
export function requireActiveAccount(found: Issuer | undefined): Issuer {
  const issuer = requireKnownAccount(found)
  assertOrganizationActive(issuer)
  assertAccountActive(issuer)
  return issuer
}

/** Throws Refusal `issuer_unknown`. */
export function requireKnownAccount(issuer: Issuer | undefined): Issuer {
  if (issuer === undefined) throw new Refusal('issuer_unknown')
  return issuer
}

/** Throws Refusal `organization_inactive`. */
export function assertOrganizationActive({ organizationStatus: status }: Issuer): void {
  if (status !== 'active') throw new Refusal('organization_inactive', { status })
}

/** Throws Refusal `account_inactive`. */
export function assertAccountActive({ accountStatus: status }: Issuer): void {
  if (status !== 'active') throw new Refusal('account_inactive', { status })
}

/** What the operator, and the trail, are told of an account whose assertion is refused. */
export function describeAccount({ accountId, accountName, organizationId }: Issuer) {
  return { accountId, accountName, organizationId }
}
