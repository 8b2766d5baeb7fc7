import { type Kysely, sql, type Transaction } from 'kysely'
import type { AccountKind, AccountRow, AccountStatus, AssertionPolicy, Database } from '../tables.ts'
import { type Access, accessColumns } from './access.ts'
import type { Page } from './page.ts'

/** A service account with what is kept in other tables: its access, and the last use of any of its keys. */
export type ServiceAccount = AccountRow & { slug: string } & Access & { lastUsedAt: Date | null }

export type NewServiceAccount = {
  id: string
  organizationId: string
  name: string
  slug: string
  email: string
  description: string
  ownerContact: string | null
  assertionPolicy: AssertionPolicy
  tokenRequestsPerMinute: number | null
  createdAt: Date
  createdBy: string
}

/** What of an account can change. Slug, email and id never do. */
export type AccountChanges = {
  name?: string
  description?: string
  ownerContact?: string | null
  status?: AccountStatus
  assertionPolicy?: AssertionPolicy
  tokenRequestsPerMinute?: number | null
}

/** The service account with that id in that organization, also a deleted one. */
export function findServiceAccount(
  db: Kysely<Database>,
  organizationId: string,
  id: string,
): Promise<ServiceAccount | undefined> {
  return serviceAccounts(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.id', '=', id)
    .executeTakeFirst()
}

/** The service account with that slug that is not deleted. */
export function findServiceAccountBySlug(
  db: Kysely<Database>,
  organizationId: string,
  slug: string,
): Promise<ServiceAccount | undefined> {
  return serviceAccounts(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.slug', '=', slug)
    .where('a.status', '!=', 'deleted')
    .executeTakeFirst()
}

/** What a review looks for: conditions that are given must all hold. */
export type ReviewFilter = {
  /** Older than this, and none of its keys used since. */
  unusedSince: Date | undefined
  /** With an active key that runs out in that time. */
  keyExpires: { after: Date; until: Date } | undefined
  withoutOwner: boolean
  /** Part of the name, the address, the description or the owner's contact, in any case; or the whole id. */
  search: string | undefined
  status: 'active' | 'disabled' | undefined
}

/**
 * PostgreSQL makes no join of a subquery that has an `offset`: the condition is asked of one account after the other. As a
 * join the planner would go through the keys of all organizations, or all their accounts.
 */
const ONE_BY_ONE = sql`offset 0`

/** An organization's service accounts that are not deleted. */
export function listServiceAccounts(
  db: Kysely<Database>,
  organizationId: string,
  { unusedSince, keyExpires, withoutOwner, search, status }: ReviewFilter,
  page: Page,
): Promise<ServiceAccount[]> {
  let query = serviceAccounts(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '!=', 'deleted')
  if (unusedSince !== undefined) {
    query = query.where('a.createdAt', '<', unusedSince).where(
      sql<boolean>`not exists (
          select from keys k where k.account_id = a.id and k.last_used_at >= ${unusedSince} ${ONE_BY_ONE})`,
    )
  }
  if (keyExpires !== undefined) {
    query = query.where(
      sql<boolean>`exists (
        select from keys k where k.account_id = a.id and k.status = 'active'
          and k.expires_at > ${keyExpires.after} and k.expires_at <= ${keyExpires.until} ${ONE_BY_ONE})`,
    )
  }
  if (withoutOwner) query = query.where('a.ownerContact', 'is', null)
  if (status !== undefined) query = query.where('a.status', '=', status)
  if (search !== undefined) {
    const pattern = `%${search.replaceAll(/[\\%_]/g, '\\$&')}%`
    query = query.where(
      sql<boolean>`(a.id = ${search} or a.name ilike ${pattern} or a.email ilike ${pattern}
        or a.description ilike ${pattern} or a.owner_contact ilike ${pattern})`,
    )
  }
  return query
    .$if(page.before !== undefined, (query) => query.where('a.id', '<', page.before ?? ''))
    .orderBy('a.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** An account of any kind as far as it counts: it is active, and so is its organization. */
export function findActiveAccount(
  db: Kysely<Database>,
  id: string,
): Promise<{ kind: AccountKind; name: string; organizationId: string; isOperator: boolean } | undefined> {
  return db
    .selectFrom('accounts as a')
    .innerJoin('organizations as o', 'o.id', 'a.organizationId')
    .select(['a.kind', 'a.name', 'a.organizationId', 'o.isOperator'])
    .where('a.id', '=', id)
    .where('a.status', '=', 'active')
    .where('o.status', '=', 'active')
    .executeTakeFirst()
}

/** Holds an account until the transaction ends, so that two changes to it or its keys follow one another. */
export async function lockAccount(trx: Transaction<Database>, id: string): Promise<void> {
  await trx.selectFrom('accounts').select('id').where('id', '=', id).forNoKeyUpdate().execute()
}

/**
 * Stores an active service account. Violates `accounts_slug`, `accounts_email` or `service_accounts_email` when the
 * slug is taken.
 */
export async function insertServiceAccount(
  trx: Transaction<Database>,
  account: NewServiceAccount,
): Promise<void> {
  await trx
    .insertInto('accounts')
    .values({
      ...account,
      assertionPolicy: JSON.stringify(account.assertionPolicy),
      kind: 'service_account',
      status: 'active',
      updatedAt: account.createdAt,
    })
    .execute()
}

/** Changes an account; `endTokens` ends for good all tokens that it has. */
export async function updateAccount(
  trx: Transaction<Database>,
  id: string,
  changes: AccountChanges,
  options: { endTokens: boolean; now: Date },
): Promise<void> {
  const { assertionPolicy, ...plain } = changes
  await trx
    .updateTable('accounts')
    .set({
      ...plain,
      ...(assertionPolicy === undefined ? {} : { assertionPolicy: JSON.stringify(assertionPolicy) }),
      ...(options.endTokens ? { tokenGeneration: sql<number>`token_generation + 1` } : {}),
      updatedAt: options.now,
    })
    .where('id', '=', id)
    .execute()
}

function serviceAccounts(db: Kysely<Database>) {
  return db
    .selectFrom('accounts as a')
    .selectAll('a')
    .select([
      sql<Date | null>`(select max(k.last_used_at) from keys k where k.account_id = a.id)`.as('lastUsedAt'),
    ])
    .select(accessColumns)
    .where('a.kind', '=', 'service_account')
    .$narrowType<{ slug: string }>()
}
