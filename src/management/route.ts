import type { TokenRecord } from '../database/queries/grant-records.ts'
import type { Actor } from '../directory/actor.ts'
import type { ManagementPermission } from '../directory/management-permissions.ts'
import type { PageRequest } from '../directory/pages.ts'
import type { DirectoryServices, RotationServices, SealingServices } from '../directory/services.ts'

/** A request that has been authenticated, permitted and validated. */
export type Call = {
  services: DirectoryServices & SealingServices & RotationServices
  actor: Actor
  token: TokenRecord
  /** Ids in the path; each has the form of its kind. */
  params: Readonly<Record<string, string>>
  query: Readonly<Record<string, unknown>>
  /** Whether the caller would rather have NDJSON than JSON, where both are served. */
  prefersLines: boolean
  /** As openapi.yaml describes it. */
  // biome-ignore lint/suspicious/noExplicitAny: the contract has checked it; each route names the members it reads
  body: any
}

/** What is answered: `body` as JSON, `lines` as NDJSON, `location` below the root of this API. */
export type Reply =
  | { status: 200; body: unknown }
  | { status: 200; lines: AsyncIterable<readonly unknown[]> }
  | { status: 201; body: unknown; location: string }
  | { status: 204 }

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One line of the table: `any account` means that being authenticated is enough. */
export type Route = readonly [
  method: Method,
  path: string,
  permission: ManagementPermission | 'any account',
  handle: (call: Call) => Promise<Reply>,
]

/** The page that a list call asks for; the contract gives `limit` its default. */
export function pageOf({ query }: Call): PageRequest {
  return { limit: query.limit as number, cursor: query.cursor as string | undefined }
}

/** The organization in the path. */
export function organizationOf({ params }: Call): string {
  return params.org as string
}

/** The account in the path, and the organization that it must be of. */
export function accountOf(call: Call): { organizationId: string; accountId: string } {
  return { organizationId: organizationOf(call), accountId: call.params.acc as string }
}
