import type { ServiceAccount } from '../../database/queries/accounts.ts'
import type { AssertionPolicy } from '../../database/tables.ts'
import { createServiceAccount as create } from '../../directory/new-service-account.ts'
import { getServiceAccount as readServiceAccount } from '../../directory/service-account-reach.ts'
import * as directory from '../../directory/service-accounts.ts'
import { presentAccess, toAccessPatch } from '../access.ts'
import { accountOf, type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'
import { presentCreatedKey, toKeyRequest } from './keys.ts'

type ReviewQuery = {
  unused_for_days?: number
  keys_expiring_within_days?: number
  without_owner?: boolean
  search?: string
  status?: 'active' | 'disabled'
}

type PolicyInput = Partial<{
  profile: AssertionPolicy['profile']
  require_jti: boolean
  max_lifetime_seconds: number
  extra_audiences: string[]
  client_assertion_audience: AssertionPolicy['clientAssertionAudience']
  require_dpop: boolean
}>

/** `GET /organizations/{org}/service-accounts`: one page of them. */
export async function listServiceAccounts(call: Call): Promise<Reply> {
  const { services, actor } = call
  const organizationId = organizationOf(call)
  const review = toReview(call.query)
  const listing = await directory.listServiceAccounts(services, actor, organizationId, review, pageOf(call))
  return { status: 200, body: { items: listing.items.map(present), next_cursor: listing.nextCursor } }
}

/** `POST /organizations/{org}/service-accounts`: a new account, with its first key when one is asked for. */
export async function createServiceAccount(call: Call): Promise<Reply> {
  const { name, slug, description, owner_contact, assertion_policy, initial_key } = call.body
  const { account, initialKey } = await create(call.services, call.actor, organizationOf(call), {
    name,
    slug,
    description: description ?? '',
    ownerContact: owner_contact ?? null,
    access: toAccessPatch(call.body),
    assertionPolicy: toPolicy(assertion_policy),
    tokenRequestsPerMinute: call.body.token_requests_per_minute ?? null,
    initialKey: initial_key === undefined ? undefined : toKeyRequest(initial_key, '/initial_key'),
  })
  const now = call.services.clock.now()
  return {
    status: 201,
    body: {
      ...present(account),
      ...(initialKey !== undefined && { initial_key: presentCreatedKey(initialKey, now) }),
    },
    location: `/organizations/${account.organizationId}/service-accounts/${account.id}`,
  }
}

/** `GET /organizations/{org}/service-accounts/{acc}`: one account. */
export async function getServiceAccount(call: Call): Promise<Reply> {
  const { account } = await readServiceAccount(call.services.db, call.actor, accountOf(call))
  return { status: 200, body: present(account) }
}

/** `PATCH /organizations/{org}/service-accounts/{acc}`: name, status, policy or the whole list of permissions. */
export async function updateServiceAccount(call: Call): Promise<Reply> {
  const { name, description, owner_contact, status, assertion_policy } = call.body
  const account = await directory.updateServiceAccount(call.services, call.actor, accountOf(call), {
    name,
    description,
    ownerContact: owner_contact,
    status,
    access: toAccessPatch(call.body),
    assertionPolicy: toPolicy(assertion_policy),
    tokenRequestsPerMinute: call.body.token_requests_per_minute,
  })
  return { status: 200, body: present(account) }
}

/** `DELETE /organizations/{org}/service-accounts/{acc}`: removes it, revokes its keys and ends its tokens. */
export async function deleteServiceAccount(call: Call): Promise<Reply> {
  await directory.deleteServiceAccount(call.services, call.actor, accountOf(call))
  return { status: 204 }
}

function toReview(query: ReviewQuery): directory.Review {
  return {
    unusedForDays: query.unused_for_days,
    keysExpiringWithinDays: query.keys_expiring_within_days,
    withoutOwner: query.without_owner === true,
    search: query.search,
    status: query.status,
  }
}

function toPolicy(input: PolicyInput = {}): Partial<AssertionPolicy> {
  const { profile, require_jti, max_lifetime_seconds, extra_audiences } = input
  const { client_assertion_audience, require_dpop } = input
  return {
    ...(profile !== undefined && { profile }),
    ...(require_jti !== undefined && { requireJti: require_jti }),
    ...(max_lifetime_seconds !== undefined && { maxLifetimeSeconds: max_lifetime_seconds }),
    ...(extra_audiences !== undefined && { extraAudiences: extra_audiences }),
    ...(client_assertion_audience !== undefined && { clientAssertionAudience: client_assertion_audience }),
    ...(require_dpop !== undefined && { requireDpop: require_dpop }),
  }
}

function present(account: ServiceAccount) {
  const { assertionPolicy: policy } = account
  return {
    id: account.id,
    organization_id: account.organizationId,
    kind: account.kind,
    name: account.name,
    slug: account.slug,
    email: account.email,
    description: account.description,
    owner_contact: account.ownerContact,
    status: account.status,
    ...presentAccess(account),
    assertion_policy: {
      profile: policy.profile,
      require_jti: policy.requireJti,
      max_lifetime_seconds: policy.maxLifetimeSeconds,
      extra_audiences: policy.extraAudiences,
      client_assertion_audience: policy.clientAssertionAudience,
      require_dpop: policy.requireDpop,
    },
    token_requests_per_minute: account.tokenRequestsPerMinute,
    created_at: showTime(account.createdAt),
    created_by: account.createdBy,
    updated_at: showTime(account.updatedAt),
    last_used_at: showTime(account.lastUsedAt),
  }
}
