import type { OrganizationRow, OrganizationSettings } from '../../database/tables.ts'
import * as directory from '../../directory/organizations.ts'
import { getOrganization as readOrganization } from '../../directory/reach.ts'
import { type Call, organizationOf, pageOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

type SettingsInput = Partial<{
  require_jti: boolean
  max_key_lifetime_days: number | null
  allow_generated_keys: boolean
  allow_api_tokens: boolean
  max_keys_per_account: number
  token_requests_per_minute: number | null
}>

/** `GET /organizations`: one page of all tenants. */
export async function listOrganizations(call: Call): Promise<Reply> {
  const { items, nextCursor } = await directory.listOrganizations(call.services, call.actor, pageOf(call))
  return { status: 200, body: { items: items.map(present), next_cursor: nextCursor } }
}

/** `POST /organizations`: a new tenant. */
export async function createOrganization({ services, actor, body }: Call): Promise<Reply> {
  const { slug, name, settings } = body
  const request = { slug, name, settings: toSettings(settings) }
  const organization = await directory.createOrganization(services, actor, request)
  return { status: 201, body: present(organization), location: `/organizations/${organization.id}` }
}

/** `GET /organizations/{org}`: one organization. */
export async function getOrganization(call: Call): Promise<Reply> {
  const organization = await readOrganization(call.services.db, call.actor, organizationOf(call))
  return { status: 200, body: present(organization) }
}

/** `PATCH /organizations/{org}`: name, status or settings. */
export async function updateOrganization(call: Call): Promise<Reply> {
  const { name, status, settings } = call.body
  const patch = { name, status, settings: toSettings(settings) }
  const organization = await directory.updateOrganization(
    call.services,
    call.actor,
    organizationOf(call),
    patch,
  )
  return { status: 200, body: present(organization) }
}

/** `DELETE /organizations/{org}`: removes an organization without accounts. */
export async function deleteOrganization(call: Call): Promise<Reply> {
  const confirmation = call.query.confirm as string | undefined
  await directory.deleteOrganization(call.services, call.actor, organizationOf(call), confirmation)
  return { status: 204 }
}

function toSettings(input: SettingsInput = {}): Partial<OrganizationSettings> {
  const settings = {
    requireJti: input.require_jti,
    maxKeyLifetimeDays: input.max_key_lifetime_days,
    allowGeneratedKeys: input.allow_generated_keys,
    allowApiTokens: input.allow_api_tokens,
    maxKeysPerAccount: input.max_keys_per_account,
    tokenRequestsPerMinute: input.token_requests_per_minute,
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

function present(organization: OrganizationRow) {
  const { id, slug, name, status, settings, createdAt, updatedAt } = organization
  return {
    id,
    slug,
    name,
    status,
    settings: {
      require_jti: settings.requireJti,
      max_key_lifetime_days: settings.maxKeyLifetimeDays,
      allow_generated_keys: settings.allowGeneratedKeys,
      allow_api_tokens: settings.allowApiTokens,
      max_keys_per_account: settings.maxKeysPerAccount,
      token_requests_per_minute: settings.tokenRequestsPerMinute,
    },
    created_at: showTime(createdAt),
    updated_at: showTime(updatedAt),
  }
}
