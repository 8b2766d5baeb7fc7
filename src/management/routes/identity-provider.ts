import type { IdentityProviderRow } from '../../database/tables.ts'
import * as directory from '../../directory/identity-providers.ts'
import { type Call, organizationOf, type Reply } from '../route.ts'
import { showTime } from '../time.ts'

export async function getIdentityProvider(call: Call): Promise<Reply> {
  const provider = await directory.getIdentityProvider(call.services, call.actor, organizationOf(call))
  return { status: 200, body: present(provider, call) }
}

export async function putIdentityProvider(call: Call): Promise<Reply> {
  const { issuer, client_id, client_secret, email_domains } = call.body
  const request = {
    issuer,
    clientId: client_id,
    clientSecret: client_secret,
    emailDomains: email_domains,
  }
  const organizationId = organizationOf(call)
  const { provider, isNew } = await directory.putIdentityProvider(
    call.services,
    call.actor,
    organizationId,
    request,
  )
  const body = present(provider, call)
  if (!isNew) return { status: 200, body }
  return { status: 201, body, location: `/organizations/${organizationId}/identity-provider` }
}

export async function deleteIdentityProvider(call: Call): Promise<Reply> {
  await directory.deleteIdentityProvider(call.services, call.actor, organizationOf(call))
  return { status: 204 }
}

function present(provider: IdentityProviderRow, { services }: Call) {
  return {
    organization_id: provider.organizationId,
    issuer: provider.issuer,
    client_id: provider.clientId,
    has_client_secret: provider.wrappedClientSecret !== null,
    email_domains: provider.emailDomains,
    redirect_uri: directory.openidRedirectUri(services.issuer, provider.organizationId),
    created_at: showTime(provider.createdAt),
    updated_at: showTime(provider.updatedAt),
  }
}
