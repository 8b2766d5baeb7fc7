import type { Issuer } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'

/** Refuses an account that is not there or may not act. Throws `issuer_unknown`, `organization_inactive` or `account_inactive`. */
export function requireActiveAccount(issuer: Issuer | undefined): Issuer {
  if (issuer === undefined) throw new Refusal('issuer_unknown')
  if (issuer.organizationStatus !== 'active') {
    throw new Refusal('organization_inactive', { status: issuer.organizationStatus })
  }
  if (issuer.accountStatus !== 'active')
    throw new Refusal('account_inactive', { status: issuer.accountStatus })
  return issuer
}

/** What the operator, and the trail, are told of an account whose assertion is refused. */
export function describeAccount({ accountId, accountName, organizationId }: Issuer) {
  return { accountId, accountName, organizationId }
}
