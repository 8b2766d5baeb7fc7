import type { GroupClaim, GroupMembership } from '../database/queries/groups.ts'
import type { GroupAccessLevel } from '../database/tables.ts'

/** A token travels in a header, and servers take headers of 8 or 16 kB (http-contract: JWT access tokens). */
export const MAX_GROUPS = 50
const MAX_GROUPS_OCTETS = 8192

/** What a JWT access token says of the account's groups, when the scope `groups` was asked for. */
export type GroupClaims = {
  groups?: readonly GroupClaim[]
  /** There are more than a token has room for: introspection tells them all. */
  groups_truncated?: true
  groups_administrator?: GroupAccessLevel
}

/** The claims for a membership of which up to `MAX_GROUPS` + 1 groups were read. Pure. */
export function toGroupClaims({ groups, groupsAdministrator }: GroupMembership): GroupClaims {
  const isTooMuch =
    groups.length > MAX_GROUPS || Buffer.byteLength(JSON.stringify(groups)) > MAX_GROUPS_OCTETS
  return {
    ...(isTooMuch ? { groups_truncated: true } : { groups }),
    ...(groupsAdministrator !== null && { groups_administrator: groupsAdministrator }),
  }
}
