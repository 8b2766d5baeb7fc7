import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database, OrganizationRow, OrganizationSettings, OrganizationStatus } from '../tables.ts'
import type { Page } from './page.ts'

export type NewOrganization = {
  id: string
  slug: string
  name: string
  isOperator: boolean
  settings: OrganizationSettings
  createdAt: Date
}

/** What of an organization can change. Slug and id never do. */
export type OrganizationChanges = {
  name?: string
  status?: OrganizationStatus
  settings?: OrganizationSettings
}

/** The organization with that id, also a deleted one. */
export function findOrganization(db: Kysely<Database>, id: string): Promise<OrganizationRow | undefined> {
  return db.selectFrom('organizations').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The organization with that slug that is not deleted. */
export function findOrganizationBySlug(
  db: Kysely<Database>,
  slug: string,
): Promise<OrganizationRow | undefined> {
  return db
    .selectFrom('organizations')
    .selectAll()
    .where('slug', '=', slug)
    .where('status', '!=', 'deleted')
    .executeTakeFirst()
}

/**
 * The organization with that id, held until the transaction ends, so that two changes to it follow one another.
 * Locks are taken from the outside in: organization, accounts, then what accounts have.
 */
export function lockOrganization(
  trx: Transaction<Database>,
  id: string,
): Promise<OrganizationRow | undefined> {
  return trx.selectFrom('organizations').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
}

/** Held against changes to it alone: many may be at work in an organization at once. */
export function shareOrganization(
  trx: Transaction<Database>,
  id: string,
): Promise<OrganizationRow | undefined> {
  return trx.selectFrom('organizations').selectAll().where('id', '=', id).forShare().executeTakeFirst()
}

/** The platform's own organization; there is one once the server was installed. */
export function findOperatorOrganization(db: Kysely<Database>): Promise<OrganizationRow | undefined> {
  return db.selectFrom('organizations').selectAll().where('isOperator', '=', true).executeTakeFirst()
}

/** Organizations that are not deleted. */
export function listOrganizations(db: Kysely<Database>, page: Page): Promise<OrganizationRow[]> {
  return db
    .selectFrom('organizations')
    .selectAll()
    .where('status', '!=', 'deleted')
    .$if(page.before !== undefined, (query) => query.where('id', '<', page.before ?? ''))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
}

/** Stores an active organization. Violates `organizations_slug` when the slug is taken. */
export function insertOrganization(
  trx: Transaction<Database>,
  organization: NewOrganization,
): Promise<OrganizationRow> {
  return trx
    .insertInto('organizations')
    .values({
      ...organization,
      settings: JSON.stringify(organization.settings),
      status: 'active',
      updatedAt: organization.createdAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Changes an organization; `endTokens` ends for good all tokens that its accounts have. */
export function updateOrganization(
  trx: Transaction<Database>,
  id: string,
  changes: OrganizationChanges,
  options: { endTokens: boolean; now: Date },
): Promise<OrganizationRow> {
  const { settings, ...plain } = changes
  return trx
    .updateTable('organizations')
    .set({
      ...plain,
      ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }),
      ...(options.endTokens ? { tokenGeneration: sql<number>`token_generation + 1` } : {}),
      updatedAt: options.now,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Whether an organization has accounts that can act. */
export async function hasActiveAccounts(db: Kysely<Database>, organizationId: string): Promise<boolean> {
  const found = await db
    .selectFrom('accounts')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('status', '=', 'active')
    .limit(1)
    .executeTakeFirst()
  return found !== undefined
}
