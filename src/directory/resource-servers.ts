import type { Trx } from '../database/connect.ts'
import { findOperatorOrganization } from '../database/queries/organizations.ts'
import {
  deleteResourceServer as deleteRow,
  findResourceServer,
  insertResourceServer,
  lockResourceServer,
  listResourceServers as queryResourceServers,
  type ResourceServer,
  type ResourceServerChanges,
  updateResourceServer as storeChanges,
} from '../database/queries/resource-servers.ts'
import type { SenderConstraint, SigningAlgorithm, TokenFormat } from '../database/tables.ts'
import { transact, transactEnding } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Actor } from './actor.ts'
import { type AuditEntry, changesBetween, createdAs, deletedAs, recordChanges } from './audit.ts'
import { DEFAULT_TOKENS } from './defaults.ts'
import { type Definition, normalizeDefinitions, replaceDefinitions } from './definitions.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { requireFound, requireOperator } from './reach.ts'
import type { DirectoryServices } from './services.ts'

export type ResourceServerRequest = {
  /** An absolute URI without a fragment: the audience of its tokens, byte for byte (RFC 8707 §2). */
  identifier: string
  name: string
  tokenFormat: TokenFormat | undefined
  signingAlgorithm: SigningAlgorithm | undefined
  introspectionSigningAlgorithm: SigningAlgorithm | undefined
  tokenLifetimeSeconds: number | undefined
  senderConstraints: readonly SenderConstraint[] | undefined
  permissions: readonly Definition[]
}

/** What can be asked of a resource server that exists; `undefined` stays as it is. */
export type ResourceServerPatch = {
  name: string | undefined
  tokenFormat: TokenFormat | undefined
  signingAlgorithm: SigningAlgorithm | undefined
  introspectionSigningAlgorithm: SigningAlgorithm | undefined
  tokenLifetimeSeconds: number | undefined
  /** The whole list; tokens that are bound otherwise are not active any more. */
  senderConstraints: readonly SenderConstraint[] | undefined
  /** The whole list, or what becomes of the present one, so that two changes at once do not undo each other. */
  permissions: readonly Definition[] | ((present: readonly Definition[]) => readonly Definition[]) | undefined
}

type Services = Pick<DirectoryServices, 'db' | 'clock'>

/** All resource servers, newest first. Throws Refusal `permission_missing`. */
export async function listResourceServers(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  request: PageRequest,
): Promise<Listing<ResourceServer>> {
  requireOperator(actor)
  return readPage(request, (page) => queryResourceServers(db, page))
}

/** One resource server. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getResourceServer(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  id: string,
): Promise<ResourceServer> {
  requireOperator(actor)
  return requireFound(await findResourceServer(db, id), 'resource server', id)
}

/** Registers an API. Throws Refusal `permission_missing`, `input_invalid` or `identifier_taken`. */
export async function createResourceServer(
  { db, clock }: Services,
  actor: Actor,
  request: ResourceServerRequest,
): Promise<ResourceServer> {
  requireOperator(actor)
  assertIdentifier(request.identifier)
  const definitions = normalizeDefinitions(request.permissions)
  return transact(db, async (trx) => {
    const now = clock.now()
    const id = newId('rs', now)
    await insertUnique(trx, {
      id,
      identifier: request.identifier,
      name: request.name,
      builtIn: false,
      tokenFormat: request.tokenFormat ?? DEFAULT_TOKENS.tokenFormat,
      signingAlgorithm: request.signingAlgorithm ?? DEFAULT_TOKENS.signingAlgorithm,
      introspectionSigningAlgorithm:
        request.introspectionSigningAlgorithm ?? DEFAULT_TOKENS.introspectionSigningAlgorithm,
      tokenLifetimeSeconds: request.tokenLifetimeSeconds ?? DEFAULT_TOKENS.tokenLifetimeSeconds,
      senderConstraints: (request.senderConstraints ?? DEFAULT_TOKENS.senderConstraints).toSorted(),
      createdAt: new Date(now),
    })
    await replaceDefinitions(trx, id, [], definitions)
    const created = requireFound(await findResourceServer(trx, id), 'resource server', id)
    const entry = await toEntry(trx, created, 'resource_server.created', createdAs(factsOf(created)))
    await recordChanges(trx, actor, now, [entry])
    return created
  })
}

/**
 * Changes a resource server. A permission that is no longer listed is taken from every account that had it;
 * each of them has an event of its own in its organization's trail.
 * Throws Refusal `permission_missing`, `resource_not_found`, `input_invalid` or `built_in_protected`.
 */
export async function updateResourceServer(
  { db, clock }: Services,
  actor: Actor,
  id: string,
  patch: ResourceServerPatch,
): Promise<ResourceServer> {
  requireOperator(actor)
  const { permissions, ...plain } = patch
  return transact(db, async (trx) => {
    const now = clock.now()
    await lockResourceServer(trx, id)
    const before = requireFound(await findResourceServer(trx, id), 'resource server', id)
    const changes = given(plain)
    const wanted = typeof permissions === 'function' ? permissions(before.permissions) : permissions
    const definitions = wanted && normalizeDefinitions(wanted)
    const after = { ...before, ...changes, permissions: definitions ?? before.permissions }
    const differences = changesBetween(factsOf(before), factsOf(after))
    if (differences === undefined) return before
    if (
      before.builtIn &&
      changesBetween({ definitions: before.permissions }, { definitions: after.permissions })
    )
      throw protectedRefusal('The permissions of the management API are fixed.')
    const losses = await replaceDefinitions(trx, id, before.permissions, after.permissions)
    await storeChanges(trx, id, changes, new Date(now))
    const entry = await toEntry(trx, after, 'resource_server.updated', differences)
    await recordChanges(trx, actor, now, [entry, ...losses])
    return requireFound(await findResourceServer(trx, id), 'resource server', id)
  })
}

/**
 * Removes a resource server with its secrets; its permissions are taken from every account and its tokens have
 * ended when this returns. The second time nothing happens.
 * Throws Refusal `permission_missing` or `built_in_protected`.
 */
export async function deleteResourceServer({ db, clock }: Services, actor: Actor, id: string): Promise<void> {
  requireOperator(actor)
  await transactEnding(db, async (trx) => {
    await lockResourceServer(trx, id)
    const before = await findResourceServer(trx, id)
    if (before === undefined) return
    if (before.builtIn) throw protectedRefusal('The management API cannot be deleted.')
    const losses = await replaceDefinitions(trx, id, before.permissions, [])
    await deleteRow(trx, id)
    const entry = await toEntry(trx, before, 'resource_server.deleted', deletedAs(factsOf(before)))
    await recordChanges(trx, actor, clock.now(), [entry, ...losses])
  })
}

/** What belongs to the platform stands in the trail of the operator organization. */
async function toEntry(
  trx: Trx,
  { id, name }: ResourceServer,
  action: AuditEntry['action'],
  changes: AuditEntry['changes'],
): Promise<AuditEntry> {
  return {
    organizationId: await operatorOrganizationId(trx),
    action,
    target: { id, kind: 'resource_server', name },
    changes,
  }
}

/** The organization whose trail tells of the platform. */
export async function operatorOrganizationId(trx: Trx): Promise<string> {
  const organization = await findOperatorOrganization(trx)
  if (organization === undefined) throw new Error('the installation was never set up')
  return organization.id
}

/**
 * RFC 8707 §2: an absolute URI without a fragment. The schema has seen to its characters; what no URL parser
 * takes could not be asked for as `resource`.
 */
function assertIdentifier(identifier: string): void {
  if (URL.canParse(identifier) && !identifier.includes('#')) return
  const detail = 'must be an absolute URI without a fragment'
  throw new Refusal('input_invalid', { fault: detail }, { faults: [{ pointer: '/identifier', detail }] })
}

function given({
  senderConstraints,
  ...patch
}: Omit<ResourceServerPatch, 'permissions'>): ResourceServerChanges {
  const changes = { ...patch, senderConstraints: senderConstraints?.toSorted() }
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
}

async function insertUnique(trx: Trx, server: Parameters<typeof insertResourceServer>[1]): Promise<void> {
  try {
    await insertResourceServer(trx, server)
  } catch (error) {
    if (violatedUnique(error) !== 'resource_servers_identifier_key') throw error
    throw new Refusal(
      'identifier_taken',
      { identifier: server.identifier },
      { hint: 'Another resource server has this identifier.' },
    )
  }
}

function protectedRefusal(hint: string): Refusal {
  return new Refusal('built_in_protected', { fact: hint }, { hint })
}

function factsOf(server: ResourceServer): Record<string, unknown> {
  const { identifier, name, tokenFormat, signingAlgorithm, tokenLifetimeSeconds, permissions } = server
  const { introspectionSigningAlgorithm, senderConstraints } = server
  const tokens = { tokenFormat, signingAlgorithm, introspectionSigningAlgorithm, tokenLifetimeSeconds }
  return { identifier, name, ...tokens, senderConstraints, permissions }
}
