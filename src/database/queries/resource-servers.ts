import { type Kysely, sql, type Transaction } from 'kysely'
import type { Pool } from '../connect.ts'
import type {
  Database,
  ResourceServerRow,
  ResourceServerSecretRow,
  SenderConstraint,
  SigningAlgorithm,
  TokenFormat,
} from '../tables.ts'
import type { Page } from './page.ts'

/** A resource server with what it defines, sorted by name. */
export type ResourceServer = ResourceServerRow & { permissions: { name: string; description: string }[] }

export type NewResourceServer = {
  id: string
  identifier: string
  name: string
  builtIn: boolean
  tokenFormat: TokenFormat
  signingAlgorithm: SigningAlgorithm
  introspectionSigningAlgorithm: SigningAlgorithm
  tokenLifetimeSeconds: number
  senderConstraints: readonly SenderConstraint[]
  createdAt: Date
}

export type ResourceServerChanges = {
  identifier?: string
  name?: string
  tokenFormat?: TokenFormat
  signingAlgorithm?: SigningAlgorithm
  introspectionSigningAlgorithm?: SigningAlgorithm
  tokenLifetimeSeconds?: number
  senderConstraints?: readonly SenderConstraint[]
}

/** A secret as it is kept: digest and a hint for people, never the secret. */
export type NewResourceServerSecret = {
  id: string
  resourceServerId: string
  name: string
  digest: Buffer
  obfuscated: string
  createdAt: Date
  createdBy: string
}

/** The resource server with that id. */
export function findResourceServer(db: Kysely<Database>, id: string): Promise<ResourceServer | undefined> {
  return resourceServers(db).where('rs.id', '=', id).executeTakeFirst()
}

/** The management API as a resource server; there is one once the server was installed. */
export function findBuiltInResourceServer(db: Kysely<Database>): Promise<ResourceServer | undefined> {
  return resourceServers(db).where('rs.builtIn', '=', true).executeTakeFirst()
}

/**
 * With which algorithms resource servers want their introspection answers signed. Answers in the order given;
 * undefined where there is no such resource server.
 */
export async function findAnswerAlgorithms(
  pool: Pool,
  ids: readonly string[],
): Promise<(SigningAlgorithm | undefined)[]> {
  const { rows } = await pool.query<{ id: string; algorithm: SigningAlgorithm }>({
    name: 'find-answer-algorithms',
    text: 'select id, introspection_signing_algorithm as algorithm from resource_servers where id = any($1)',
    values: [ids],
  })
  const algorithms = new Map(rows.map(({ id, algorithm }) => [id, algorithm]))
  return ids.map((id) => algorithms.get(id))
}

/** Holds a resource server until the transaction ends, so that two changes to it follow one another. */
export async function lockResourceServer(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.selectFrom('resourceServers').select('id').where('id', '=', id).forUpdate().execute()
}

/** All resource servers. */
export function listResourceServers(db: Kysely<Database>, page: Page): Promise<ResourceServer[]> {
  return resourceServers(db)
    .$if(page.before !== undefined, (query) => query.where('rs.id', '<', page.before ?? ''))
    .orderBy('rs.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** Stores a resource server. Violates `resource_servers_identifier_key` when the identifier is taken. */
export async function insertResourceServer(
  trx: Transaction<Database>,
  resourceServer: NewResourceServer,
): Promise<void> {
  await trx
    .insertInto('resourceServers')
    .values({ ...resourceServer, updatedAt: resourceServer.createdAt })
    .execute()
}

/** Changes a resource server. */
export async function updateResourceServer(
  trx: Transaction<Database>,
  id: string,
  changes: ResourceServerChanges,
  now: Date,
): Promise<void> {
  await trx
    .updateTable('resourceServers')
    .set({ ...changes, updatedAt: now })
    .where('id', '=', id)
    .execute()
}

/** Removes a resource server; its permissions, what accounts were given of them and its secrets go with it. */
export async function deleteResourceServer(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.deleteFrom('resourceServers').where('id', '=', id).execute()
}

/** A resource server's secrets, without what could serve as one. */
export function listResourceServerSecrets(
  db: Kysely<Database>,
  resourceServerId: string,
  page: Page,
): Promise<ResourceServerSecretRow[]> {
  return db
    .selectFrom('resourceServerSecrets')
    .selectAll()
    .where('resourceServerId', '=', resourceServerId)
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** One of a resource server's secrets, as it is kept. */
export function findResourceServerSecret(
  db: Kysely<Database>,
  resourceServerId: string,
  id: string,
): Promise<ResourceServerSecretRow | undefined> {
  return db
    .selectFrom('resourceServerSecrets')
    .selectAll()
    .where('resourceServerId', '=', resourceServerId)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** Stores a secret's digest. */
export function insertResourceServerSecret(
  trx: Transaction<Database>,
  secret: NewResourceServerSecret,
): Promise<ResourceServerSecretRow> {
  return trx
    .insertInto('resourceServerSecrets')
    .values({ ...secret, lastUsedAt: null })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Removes a secret, and answers what it was; undefined when there is none. */
export function deleteResourceServerSecret(
  trx: Transaction<Database>,
  resourceServerId: string,
  id: string,
): Promise<ResourceServerSecretRow | undefined> {
  return trx
    .deleteFrom('resourceServerSecrets')
    .where('resourceServerId', '=', resourceServerId)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
}

function resourceServers(db: Kysely<Database>) {
  return db
    .selectFrom('resourceServers as rs')
    .selectAll('rs')
    .select(
      sql<ResourceServer['permissions']>`coalesce((
        select json_agg(json_build_object('name', p.name, 'description', p.description) order by p.name collate "C")
        from permissions p where p.resource_server_id = rs.id), '[]')`.as('permissions'),
    )
}
