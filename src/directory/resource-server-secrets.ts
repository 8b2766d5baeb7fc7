import { randomBytes } from 'node:crypto'
import {
  deleteResourceServerSecret as deleteRow,
  findResourceServer,
  findResourceServerSecret,
  insertResourceServerSecret,
  listResourceServerSecrets as querySecrets,
} from '../database/queries/resource-servers.ts'
import type { ResourceServerSecretRow } from '../database/tables.ts'
import { transact } from '../database/transaction.ts'
import { newId } from '../ids.ts'
import { digestSecret } from '../tokens/access-token.ts'
import { type Actor, creatorOf } from './actor.ts'
import { createdAs, deletedAs, recordChanges } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { notFound, requireFound, requireOperator } from './reach.ts'
import { getResourceServer, operatorOrganizationId } from './resource-servers.ts'
import type { DirectoryServices } from './services.ts'

/** `css_` and 256 random bits in 43 characters of an alphabet that HTTP Basic leaves alone. */
const SECRET_PREFIX = 'css_'
const SECRET_OCTETS = 32
/** Characters shown at either end: 208 random bits stay hidden. */
const SHOWN_CHARACTERS = 4

/** A resource server's secrets, newest first. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function listResourceServerSecrets(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  resourceServerId: string,
  request: PageRequest,
): Promise<Listing<ResourceServerSecretRow>> {
  const { id } = await getResourceServer({ db }, actor, resourceServerId)
  return readPage(request, (page) => querySecrets(db, id, page))
}

/** One secret, as far as it is shown. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getResourceServerSecret(
  { db }: Pick<DirectoryServices, 'db'>,
  actor: Actor,
  resourceServerId: string,
  secretId: string,
): Promise<ResourceServerSecretRow> {
  const { id } = await getResourceServer({ db }, actor, resourceServerId)
  return requireFound(await findResourceServerSecret(db, id, secretId), 'secret', secretId)
}

/**
 * Makes a secret with which a resource server introspects. It is in the answer alone; its SHA-256 is kept.
 * Throws Refusal `permission_missing` or `resource_not_found`.
 */
export async function createResourceServerSecret(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  resourceServerId: string,
  request: { name: string | undefined },
): Promise<{ row: ResourceServerSecretRow; secret: string }> {
  requireOperator(actor)
  const secret = SECRET_PREFIX + randomBytes(SECRET_OCTETS).toString('base64url')
  const row = await transact(db, async (trx) => {
    const now = clock.now()
    const server = await findResourceServer(trx, resourceServerId)
    if (server === undefined) throw notFound('resource server', resourceServerId)
    const stored = await insertResourceServerSecret(trx, {
      id: newId('rss', now),
      resourceServerId: server.id,
      name: request.name ?? `Secret ${new Date(now).toISOString().slice(0, 10)}`,
      digest: digestSecret(secret),
      obfuscated: obfuscate(secret),
      createdAt: new Date(now),
      createdBy: creatorOf(actor),
    })
    await recordChanges(trx, actor, now, [
      {
        organizationId: await operatorOrganizationId(trx),
        action: 'resource_server_secret.created',
        target: { id: stored.id, kind: 'resource_server_secret', name: stored.name },
        changes: createdAs(factsOf(stored)),
      },
    ])
    return stored
  })
  return { row, secret }
}

/** Deletes a secret: it has stopped working when this returns. The second time nothing happens. */
export async function deleteResourceServerSecret(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  resourceServerId: string,
  secretId: string,
): Promise<void> {
  requireOperator(actor)
  await transact(db, async (trx) => {
    const deleted = await deleteRow(trx, resourceServerId, secretId)
    if (deleted === undefined) return
    await recordChanges(trx, actor, clock.now(), [
      {
        organizationId: await operatorOrganizationId(trx),
        action: 'resource_server_secret.deleted',
        target: { id: deleted.id, kind: 'resource_server_secret', name: deleted.name },
        changes: deletedAs(factsOf(deleted)),
      },
    ])
  })
}

function obfuscate(secret: string): string {
  const start = secret.slice(0, SECRET_PREFIX.length + SHOWN_CHARACTERS)
  return `${start}…${secret.slice(-SHOWN_CHARACTERS)}`
}

function factsOf({ resourceServerId, name, obfuscated }: ResourceServerSecretRow): Record<string, unknown> {
  return { resourceServerId, name, obfuscatedSecret: obfuscated }
}
