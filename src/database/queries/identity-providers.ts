import type { Kysely, Transaction } from 'kysely'
import type { Database, IdentityProviderRow } from '../tables.ts'

/** How an account is known at an identity provider. */
export type OpenidIdentity = { organizationId: string; issuer: string; subject: string }

/** The identity provider by which an organization's administrators may sign in. */
export function findIdentityProvider(
  db: Kysely<Database>,
  organizationId: string,
): Promise<IdentityProviderRow | undefined> {
  return db
    .selectFrom('identityProviders')
    .selectAll()
    .where('organizationId', '=', organizationId)
    .executeTakeFirst()
}

/** The same for an active organization, by its slug. */
export function findIdentityProviderBySlug(
  db: Kysely<Database>,
  slug: string,
): Promise<IdentityProviderRow | undefined> {
  return db
    .selectFrom('identityProviders as p')
    .innerJoin('organizations as o', 'o.id', 'p.organizationId')
    .selectAll('p')
    .where('o.slug', '=', slug)
    .where('o.status', '=', 'active')
    .executeTakeFirst()
}

/** Whether any organization has an identity provider. Says nothing of which. */
export async function hasIdentityProviders(db: Kysely<Database>): Promise<boolean> {
  const found = await db.selectFrom('identityProviders').select('organizationId').limit(1).executeTakeFirst()
  return found !== undefined
}

/** Stores an organization's identity provider, in place of the one before. */
export async function storeIdentityProvider(
  trx: Transaction<Database>,
  provider: IdentityProviderRow,
): Promise<void> {
  const { issuer, clientId, wrappedClientSecret, emailDomains, updatedAt } = provider
  await trx
    .insertInto('identityProviders')
    .values(provider)
    .onConflict((conflict) =>
      conflict
        .column('organizationId')
        .doUpdateSet({ issuer, clientId, wrappedClientSecret, emailDomains, updatedAt }),
    )
    .execute()
}

/** Removes an organization's identity provider, and who its administrators were there. */
export async function deleteIdentityProvider(
  trx: Transaction<Database>,
  organizationId: string,
): Promise<void> {
  await trx.deleteFrom('openidIdentities').where('organizationId', '=', organizationId).execute()
  await trx.deleteFrom('identityProviders').where('organizationId', '=', organizationId).execute()
}

/** Forgets who an organization's administrators were at a provider of another issuer. */
export async function deleteIdentitiesOfOthers(
  trx: Transaction<Database>,
  organizationId: string,
  issuer: string,
): Promise<void> {
  await trx
    .deleteFrom('openidIdentities')
    .where('organizationId', '=', organizationId)
    .where('issuer', '!=', issuer)
    .execute()
}

/** The account that is linked to somebody at the provider. */
export async function findLinkedAccountId(
  db: Kysely<Database>,
  { organizationId, issuer, subject }: OpenidIdentity,
): Promise<string | undefined> {
  const found = await db
    .selectFrom('openidIdentities')
    .select('accountId')
    .where('organizationId', '=', organizationId)
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return found?.accountId
}

/**
 * Links an account that is not linked yet. Answers whether it is now; one that is linked to somebody else
 * stays as it is, and so does an identity that another account has.
 */
export async function linkAccount(
  trx: Transaction<Database>,
  accountId: string,
  identity: OpenidIdentity,
  linkedAt: Date,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('openidIdentities')
    .values({ accountId, ...identity, linkedAt })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows > 0n
}

/** Forgets who an account was at the provider. */
export async function unlinkAccount(trx: Transaction<Database>, accountId: string): Promise<void> {
  await trx.deleteFrom('openidIdentities').where('accountId', '=', accountId).execute()
}
