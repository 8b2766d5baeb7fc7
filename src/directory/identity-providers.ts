import { isLoopbackHost } from '../config.ts'
import type { Trx } from '../database/connect.ts'
import { listAdministratorIds } from '../database/queries/administrators.ts'
import {
  deleteIdentitiesOfOthers,
  deleteIdentityProvider as deleteRow,
  findIdentityProvider,
  storeIdentityProvider,
} from '../database/queries/identity-providers.ts'
import { lockOrganization } from '../database/queries/organizations.ts'
import { findBuiltInRole } from '../database/queries/roles.ts'
import type { IdentityProviderRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { Refusal } from '../errors.ts'
import { wrap } from '../signing/envelope.ts'
import type { Actor } from './actor.ts'
import { changesBetween, createdAs, deletedAs, recordChanges } from './audit.ts'
import { OWNER_ROLE } from './built-in-roles.ts'
import { assertMayGive, assertMayMakeKey } from './granting.ts'
import { getOrganization, requireReachable } from './reach.ts'
import type { DirectoryServices, SealingServices } from './services.ts'

export type IdentityProviderRequest = {
  issuer: string
  clientId: string
  /** null for a public client; undefined keeps the one that is stored. */
  clientSecret: string | null | undefined
  emailDomains: readonly string[]
}

/** By what the client secret of an organization is bound to its row when it is wrapped. */
export function clientSecretId(organizationId: string): string {
  return `${organizationId} client secret`
}

/**
 * Where a provider sends the browser back to; to be registered there. One for each organization, since providers do not
 * have to say who they are when they do (RFC 9207): what comes back from one is never taken to another (RFC 9700 §4.4).
 */
export function openidRedirectUri(issuer: string, organizationId: string): string {
  return `${issuer}/sign-in/openid/callback/${organizationId}`
}

/** Throws Refusal `resource_not_found` or `identity_provider_missing`. */
export async function getIdentityProvider(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
): Promise<IdentityProviderRow> {
  const organization = await getOrganization(db, actor, organizationId)
  const provider = await findIdentityProvider(db, organization.id)
  if (provider === undefined) throw new Refusal('identity_provider_missing', { organizationId })
  return provider
}

/**
 * Sets by which OpenID provider an organization's administrators may sign in. Who is whom there is forgotten
 * when the issuer changes.
 *
 * Whoever answers for the provider can sign in as any administrator of the organization, also as those who are
 * invited later. So the actor must be able to give all that each of them has, and the role owner (promise 8).
 * Throws Refusal `resource_not_found`, `permission_not_held` or `input_invalid`.
 */
export async function putIdentityProvider(
  {
    db,
    clock,
    issuer,
    keyEncryptionKeys,
  }: Pick<DirectoryServices, 'db' | 'clock' | 'issuer'> & SealingServices,
  actor: Actor,
  organizationId: string,
  request: IdentityProviderRequest,
): Promise<{ provider: IdentityProviderRow; isNew: boolean }> {
  assertTrustworthyIssuer(request.issuer, issuer)
  return transact(db, async (trx) => {
    const now = clock.now()
    const { id } = requireReachable(actor, organizationId, await lockOrganization(trx, organizationId))
    await assertMayBeAnybody(trx, actor, id)
    const before = await findIdentityProvider(trx, id)
    const { clientSecret } = request
    const isSecretKept = clientSecret === undefined && before?.issuer === request.issuer
    if (clientSecret === undefined && !isSecretKept) assertWithoutSecret(before)
    const provider: IdentityProviderRow = {
      organizationId: id,
      issuer: request.issuer,
      clientId: request.clientId,
      wrappedClientSecret: isSecretKept
        ? before.wrappedClientSecret
        : clientSecret == null
          ? null
          : wrap(Buffer.from(clientSecret), keyEncryptionKeys, clientSecretId(id)),
      emailDomains: [...new Set(request.emailDomains.map((domain) => domain.toLowerCase()))].sort(),
      createdAt: before?.createdAt ?? new Date(now),
      updatedAt: new Date(now),
    }
    await storeIdentityProvider(trx, provider)
    await deleteIdentitiesOfOthers(trx, id, provider.issuer)
    const facts = { ...factsOf(provider), ...(!isSecretKept && before && { clientSecretChanged: true }) }
    await recordChanges(trx, actor, now, [
      {
        organizationId: id,
        action: before === undefined ? 'identity_provider.created' : 'identity_provider.updated',
        target: { id, kind: 'identity_provider', name: provider.issuer },
        changes: before === undefined ? createdAs(facts) : (changesBetween(factsOf(before), facts) ?? null),
      },
    ])
    return { provider, isNew: before === undefined }
  })
}

/** A secret is for the issuer that gave it out, and none is never made of one by leaving it out. */
function assertWithoutSecret(before: IdentityProviderRow | undefined): void {
  if (before === undefined || before.wrappedClientSecret === null) return
  const detail = 'is required with another issuer; null for a public client'
  throw new Refusal('input_invalid', { fault: detail }, { faults: [{ pointer: '/client_secret', detail }] })
}

async function assertMayBeAnybody(trx: Trx, actor: Actor, organizationId: string): Promise<void> {
  const { permissions = [] } = (await findBuiltInRole(trx, OWNER_ROLE)) ?? {}
  await assertMayGive(trx, actor, { permissions, roleIds: [], groupAccess: [], groupsAdministrator: null })
  for (const accountId of await listAdministratorIds(trx, organizationId)) {
    await assertMayMakeKey(trx, actor, accountId)
  }
}

/** From now on nobody signs in by the provider. The second time nothing happens. Throws `resource_not_found`. */
export async function deleteIdentityProvider(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  organizationId: string,
): Promise<void> {
  await transact(db, async (trx) => {
    const { id } = requireReachable(actor, organizationId, await lockOrganization(trx, organizationId))
    const before = await findIdentityProvider(trx, id)
    if (before === undefined) return
    await deleteRow(trx, id)
    await recordChanges(trx, actor, clock.now(), [
      {
        organizationId: id,
        action: 'identity_provider.deleted',
        target: { id, kind: 'identity_provider', name: before.issuer },
        changes: deletedAs(factsOf(before)),
      },
    ])
  })
}

/**
 * OpenID Connect Discovery §3: an https URL without query and fragment. Plain http is for trying out: to this
 * machine, from an installation that is itself reached by plain http on this machine.
 */
function assertTrustworthyIssuer(text: string, ownIssuer: string): void {
  const fault = findIssuerFault(text, ownIssuer)
  if (fault === undefined) return
  throw new Refusal('input_invalid', { issuer: text }, { faults: [{ pointer: '/issuer', detail: fault }] })
}

function findIssuerFault(text: string, ownIssuer: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL'
  const url = new URL(text)
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) return 'must have neither query nor fragment'
  if (url.username !== '' || url.password !== '') return 'must have no user name or password'
  if (url.protocol === 'https:') return undefined
  const isTrial = new URL(ownIssuer).protocol === 'http:' && isLoopbackHost(new URL(ownIssuer).hostname)
  if (url.protocol === 'http:' && isTrial && isLoopbackHost(url.hostname)) return undefined
  return 'must be an https URL'
}

function factsOf({ issuer, clientId, wrappedClientSecret, emailDomains }: IdentityProviderRow) {
  return { issuer, clientId, hasClientSecret: wrappedClientSecret !== null, emailDomains }
}
