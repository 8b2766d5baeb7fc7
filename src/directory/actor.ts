import type { AccountKind } from '../database/tables.ts'
import { MANAGEMENT_PERMISSIONS } from './management-permissions.ts'

/** Who does something, as every rule of the directory needs to know it. Front doors make one per request. */
export type Actor = {
  /** null for the server itself. */
  accountId: string | null
  kind: AccountKind | 'system'
  name: string
  organizationId: string | null
  /** Of the operator organization, which may act in every organization. */
  isOperator: boolean
  /** Of the management API, as far as the present token bears them. */
  permissions: readonly string[]
  request: RequestFacts
}

/** Where a change came from, for the audit trail. */
export type RequestFacts = { requestId: string | null; ip: string | null; userAgent: string | null }

/** `created_by` of what no account made. */
const SYSTEM = 'system'

/** The server itself, at its first start and at its command line: whoever runs it may do everything. */
export const systemActor: Actor = {
  accountId: null,
  kind: 'system',
  name: 'Countersign',
  organizationId: null,
  isOperator: true,
  permissions: MANAGEMENT_PERMISSIONS.map((permission) => permission.name),
  request: { requestId: null, ip: null, userAgent: null },
}

/** What `created_by` says of somebody. */
export function creatorOf(actor: Actor): string {
  return actor.accountId ?? SYSTEM
}
