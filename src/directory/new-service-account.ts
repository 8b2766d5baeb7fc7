import type { Trx } from '../database/connect.ts'
import type { Access } from '../database/queries/access.ts'
import {
  findServiceAccount,
  findServiceAccountBySlug,
  insertServiceAccount,
  type NewServiceAccount,
  type ServiceAccount,
} from '../database/queries/accounts.ts'
import { shareOrganization } from '../database/queries/organizations.ts'
import type { AssertionPolicy, KeyRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { violatedUnique } from '../database/violations.ts'
import { Refusal } from '../errors.ts'
import { emailOf, newId } from '../ids.ts'
import { type AccessPatch, accessFacts, NO_ACCESS, patchAccess, replaceAccess } from './access.ts'
import { type Actor, creatorOf } from './actor.ts'
import { createdAs, recordChanges } from './audit.ts'
import { DEFAULT_ASSERTION_POLICY } from './defaults.ts'
import { storeKey } from './new-key.ts'
import { type KeyRequest, type KeySecret, type PreparedKey, prepareKey } from './prepared-key.ts'
import { getOrganization, requireFound, requireReachable } from './reach.ts'
import type { DirectoryServices } from './services.ts'
import { slugFromName, withSuffix } from './slugs.ts'

export type ServiceAccountRequest = {
  name: string
  /** Made from the name when undefined. */
  slug: string | undefined
  description: string
  ownerContact: string | null
  access: AccessPatch
  assertionPolicy: Partial<AssertionPolicy>
  /** null: as the organization says. */
  tokenRequestsPerMinute: number | null
  initialKey: KeyRequest | undefined
}

export type CreatedServiceAccount = {
  account: ServiceAccount
  initialKey: { key: KeyRow; secret: KeySecret | undefined } | undefined
}

/**
 * Creates an account that may do what the request lists and no more: nothing, if it lists nothing. With its
 * first key if one is asked for: both or neither.
 * Throws Refusal `resource_not_found`, `slug_taken`, `permission_not_held`, `input_invalid`, and what
 * `prepareKey` and `storeKey` throw.
 */
export async function createServiceAccount(
  services: DirectoryServices,
  actor: Actor,
  organizationId: string,
  request: ServiceAccountRequest,
): Promise<CreatedServiceAccount> {
  const organization = await getOrganization(services.db, actor, organizationId)
  const now = services.clock.now()
  const assertionPolicy = requireCoherent({ ...DEFAULT_ASSERTION_POLICY, ...request.assertionPolicy })
  const slug = request.slug ?? (await freeSlug(services, organization.id, request.name))
  const account: NewServiceAccount = {
    id: newId('acc', now),
    organizationId: organization.id,
    name: request.name,
    slug,
    email: emailOf(slug, organization.slug, services.issuer),
    description: request.description,
    ownerContact: request.ownerContact,
    assertionPolicy,
    tokenRequestsPerMinute: request.tokenRequestsPerMinute,
    createdAt: new Date(now),
    createdBy: creatorOf(actor),
  }
  const prepared =
    request.initialKey === undefined
      ? undefined
      : await prepareKey(services, { organization, account }, request.initialKey, now)
  const asked = patchAccess(NO_ACCESS, request.access)
  return transact(services.db, (trx) => store(trx, actor, account, asked, prepared))
}

async function store(
  trx: Trx,
  actor: Actor,
  account: NewServiceAccount,
  asked: Access,
  prepared: PreparedKey | undefined,
): Promise<CreatedServiceAccount> {
  const { id, organizationId } = account
  const organization = requireReachable(actor, organizationId, await shareOrganization(trx, organizationId))
  await insertUnique(trx, account)
  await replaceAccess(trx, actor, { id, organizationId, ...NO_ACCESS }, asked)
  const created = requireFound(await findServiceAccount(trx, organizationId, id), 'service account', id)
  await recordChanges(trx, actor, account.createdAt.getTime(), [
    {
      organizationId,
      action: 'service_account.created',
      target: { id, kind: 'service_account', name: account.name },
      changes: createdAs(accountFacts(created)),
    },
  ])
  const initialKey = prepared && {
    key: await storeKey(trx, actor, { organization, account: created }, prepared),
    secret: prepared.secret,
  }
  return {
    account: requireFound(await findServiceAccount(trx, organizationId, id), 'service account', id),
    initialKey,
  }
}

/** A slug made from the name, with a random ending where another account has it already. */
async function freeSlug(
  { db }: Pick<DirectoryServices, 'db'>,
  organizationId: string,
  name: string,
): Promise<string> {
  const slug = slugFromName(name)
  const taken = await findServiceAccountBySlug(db, organizationId, slug)
  return taken === undefined ? slug : withSuffix(slug)
}

/** An account's email is made of its slug. */
const UNIQUE_BY_SLUG = ['accounts_slug', 'accounts_email', 'service_accounts_email']

async function insertUnique(trx: Trx, account: NewServiceAccount): Promise<void> {
  try {
    await insertServiceAccount(trx, account)
  } catch (error) {
    const violated = violatedUnique(error)
    if (!UNIQUE_BY_SLUG.includes(violated ?? '')) throw error
    throw new Refusal(
      'slug_taken',
      { slug: account.slug, organizationId: account.organizationId },
      { hint: 'Another account of the organization has this slug.' },
    )
  }
}

/**
 * Google's client libraries send no proof, so whoever wants both has made a mistake. Pure. Throws Refusal
 * `input_invalid`.
 */
export function requireCoherent(policy: AssertionPolicy): AssertionPolicy {
  if (!policy.requireDpop || policy.profile !== 'google') return policy
  const detail = 'needs profile rfc7523: the client libraries that profile google is for send no DPoP proofs'
  const pointer = '/assertion_policy/require_dpop'
  throw new Refusal('input_invalid', { fault: detail }, { faults: [{ pointer, detail }] })
}

/** What the trail tells of an account. */
export function accountFacts(account: ServiceAccount): Record<string, unknown> {
  const { name, slug, email, description, ownerContact, status, assertionPolicy } = account
  return {
    name,
    slug,
    email,
    description,
    ownerContact,
    status,
    ...accessFacts(account),
    assertionPolicy,
    tokenRequestsPerMinute: account.tokenRequestsPerMinute,
  }
}
