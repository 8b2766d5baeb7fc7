import { countLiveTokensOfResourceServer, type LiveTokens } from '../database/queries/live-tokens.ts'
import {
  countCredentials,
  countHolders,
  countHoldersOfEach,
  type HolderCount,
} from '../database/queries/resource-server-use.ts'
import type { Actor } from './actor.ts'
import { getResourceServer } from './resource-servers.ts'
import type { DirectoryServices } from './services.ts'

/** What hangs on a resource server, in figures. */
export type ResourceServerUse = {
  holders: HolderCount
  live: LiveTokens
  credentials: { secrets: number; keys: number }
}

/** What would stop with a resource server. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getResourceServerUse(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  id: string,
): Promise<ResourceServerUse> {
  const server = await getResourceServer({ db }, actor, id)
  const now = clock.now()
  const [holders, live, credentials] = await Promise.all([
    countHolders(db, server.id),
    countLiveTokensOfResourceServer(db, server.id, now),
    countCredentials(db, server.id, new Date(now)),
  ])
  return { holders, live, credentials }
}

/** With what it authenticates. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getCredentialCount(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  id: string,
): Promise<ResourceServerUse['credentials']> {
  const server = await getResourceServer({ db }, actor, id)
  return countCredentials(db, server.id, new Date(clock.now()))
}

/** How many accounts have each of its permissions. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getHoldersOfEach(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  id: string,
): Promise<Map<string, number>> {
  const server = await getResourceServer({ db }, actor, id)
  return countHoldersOfEach(db, server.id)
}

/** Who has one of its permissions. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getPermissionHolders(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  id: string,
  permission: string,
): Promise<HolderCount> {
  const server = await getResourceServer({ db }, actor, id)
  return countHolders(db, server.id, permission)
}
