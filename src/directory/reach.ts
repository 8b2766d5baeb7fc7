import type { Db } from '../database/connect.ts'
import { findOrganization } from '../database/queries/organizations.ts'
import type { OrganizationRow } from '../database/tables.ts'
import { Refusal } from '../errors.ts'
import type { Actor } from './actor.ts'

/** What an id can name, in the words of a refusal. */
export type Noun =
  | 'organization'
  | 'service account'
  | 'administrator'
  | 'session'
  | 'role'
  | 'group'
  | 'key'
  | 'token'
  | 'resource server'
  | 'secret'
  | 'signing key'
  | 'permission'

/**
 * The refusal for an id that names nothing the actor may see. One text for each kind of thing, so that an id
 * of another organization and one that was never given out are answered alike (promise 9).
 */
export function notFound(noun: Noun, id: string): Refusal {
  return new Refusal('resource_not_found', { noun, id }, { hint: `There is no ${noun} with that id.` })
}

/** Narrows to what an id names. Throws Refusal `resource_not_found`. */
export function requireFound<Found>(found: Found | undefined, noun: Noun, id: string): Found {
  if (found !== undefined) return found
  throw notFound(noun, id)
}

/**
 * The organization, if the actor may see it: its own, or any for the operator organization. A deleted one is
 * there for nobody.
 * Throws Refusal `resource_not_found`.
 */
export async function getOrganization(db: Db, actor: Actor, id: string): Promise<OrganizationRow> {
  return requireReachable(actor, id, await findReachable(db, actor, id))
}

/**
 * The same, and for the platform also one that was deleted: who deleted it, and what went with it, must be told
 * to somebody. Throws Refusal `resource_not_found`.
 */
export async function getOrganizationEver(db: Db, actor: Actor, id: string): Promise<OrganizationRow> {
  const organization = await findReachable(db, actor, id)
  if (actor.isOperator && organization !== undefined) return organization
  return requireReachable(actor, id, organization)
}

/** Narrows to an organization that is there for the actor. Throws Refusal `resource_not_found`. */
export function requireReachable(
  actor: Actor,
  id: string,
  organization: OrganizationRow | undefined,
): OrganizationRow {
  const reachable = actor.isOperator || actor.organizationId === id
  if (reachable && organization !== undefined && organization.status !== 'deleted') return organization
  throw notFound('organization', id)
}

/** Organizations, resource servers, signing keys: what belongs to the platform. Throws Refusal `permission_missing`. */
export function requireOperator(actor: Actor): void {
  if (actor.isOperator) return
  throw new Refusal(
    'permission_missing',
    { organizationId: actor.organizationId, fact: 'not of the operator organization' },
    { hint: 'Only accounts of the operator organization can do this.' },
  )
}

/** A foreign id is not even looked up, so that time tells nothing either. */
async function findReachable(db: Db, actor: Actor, id: string): Promise<OrganizationRow | undefined> {
  if (!actor.isOperator && actor.organizationId !== id) return undefined
  return findOrganization(db, id)
}
