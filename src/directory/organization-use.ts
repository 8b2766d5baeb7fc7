import { countLiveTokensOfOrganization, type LiveTokens } from '../database/queries/live-tokens.ts'
import { type ContentCount, countContent, countLinked } from '../database/queries/organization-use.ts'
import type { Actor } from './actor.ts'
import { getOrganization } from './reach.ts'
import type { DirectoryServices } from './services.ts'

/** What would stop with an organization. */
export type OrganizationUse = ContentCount & { live: LiveTokens }

/** What an organization has, in figures. Throws Refusal `resource_not_found`. */
export async function getOrganizationUse(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  organizationId: string,
): Promise<OrganizationUse> {
  const { id } = await getOrganization(db, actor, organizationId)
  const [content, live] = await Promise.all([
    countContent(db, id),
    countLiveTokensOfOrganization(db, id, clock.now()),
  ])
  return { ...content, live }
}

/** Who would have to sign in otherwise without the identity provider. Throws Refusal `resource_not_found`. */
export async function getLinkedCount(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  organizationId: string,
): Promise<{ linked: number; withoutPassword: number }> {
  const { id } = await getOrganization(db, actor, organizationId)
  return countLinked(db, id)
}
