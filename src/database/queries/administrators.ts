import { type Kysely, sql, type Transaction } from 'kysely'
import type { AccountRow, AssertionPolicy, Database } from '../tables.ts'
import { type Access, accessColumns } from './access.ts'
import type { Page } from './page.ts'

/** An administrator with what is kept in other tables. No credential is among it. */
export type Administrator = AccountRow &
  Access & {
    lastSignInAt: Date | null
    hasPassword: boolean
    hasSecondFactor: boolean
    /** Whether the account is known by issuer and subject at the organization's identity provider. */
    isLinked: boolean
    invitationExpiresAt: Date | null
  }

export type NewAdministrator = {
  id: string
  organizationId: string
  name: string
  email: string
  /** Never used: administrators have no keys. */
  assertionPolicy: AssertionPolicy
  createdAt: Date
  createdBy: string
}

/** The administrator with that id in that organization, also a deleted one. */
export function findAdministrator(
  db: Kysely<Database>,
  organizationId: string,
  id: string,
): Promise<Administrator | undefined> {
  return administrators(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.id', '=', id)
    .executeTakeFirst()
}

/** The administrator with that id of an active organization, if they may sign in, or have yet to for the first time. */
export function findAdmissibleAdministrator(
  db: Kysely<Database>,
  id: string,
): Promise<Administrator | undefined> {
  return administrators(db)
    .where('a.id', '=', id)
    .where('a.status', 'in', ['invited', 'active'])
    .where((where) =>
      where.exists(
        where
          .selectFrom('organizations as o')
          .select('o.id')
          .whereRef('o.id', '=', 'a.organizationId')
          .where('o.status', '=', 'active'),
      ),
    )
    .executeTakeFirst()
}

/** The administrator with that address who is not deleted. */
export function findAdministratorByEmail(
  db: Kysely<Database>,
  organizationId: string,
  email: string,
): Promise<Administrator | undefined> {
  return administrators(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.email', '=', email)
    .where('a.status', '!=', 'deleted')
    .executeTakeFirst()
}

/** An organization's administrators who are not deleted. */
export function listAdministrators(
  db: Kysely<Database>,
  organizationId: string,
  page: Page,
): Promise<Administrator[]> {
  return administrators(db)
    .where('a.organizationId', '=', organizationId)
    .where('a.status', '!=', 'deleted')
    .$if(page.before !== undefined, (query) => query.where('a.id', '<', page.before ?? ''))
    .orderBy('a.id', 'desc')
    .limit(page.limit)
    .execute()
}

/** Ids of an organization's administrators who are not deleted. */
export async function listAdministratorIds(db: Kysely<Database>, organizationId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('accounts')
    .select('id')
    .where('organizationId', '=', organizationId)
    .where('kind', '=', 'administrator')
    .where('status', '!=', 'deleted')
    .execute()
  return rows.map((row) => row.id)
}

/** Stores an invited administrator. Violates `accounts_email` when the address is taken in the organization. */
export async function insertAdministrator(
  trx: Transaction<Database>,
  { assertionPolicy, ...account }: NewAdministrator,
): Promise<void> {
  await trx
    .insertInto('accounts')
    .values({
      ...account,
      assertionPolicy: JSON.stringify(assertionPolicy),
      kind: 'administrator',
      slug: null,
      description: '',
      ownerContact: null,
      status: 'invited',
      updatedAt: account.createdAt,
    })
    .execute()
  await trx.insertInto('administratorCredentials').values({ accountId: account.id }).execute()
}

function administrators(db: Kysely<Database>) {
  return db
    .selectFrom('accounts as a')
    .leftJoin('administratorCredentials as c', 'c.accountId', 'a.id')
    .leftJoin('invitations as i', 'i.accountId', 'a.id')
    .selectAll('a')
    .select(accessColumns)
    .select([
      'c.lastSignInAt',
      'i.expiresAt as invitationExpiresAt',
      sql<boolean>`c.password_hash is not null`.as('hasPassword'),
      sql<boolean>`c.totp_confirmed_at is not null`.as('hasSecondFactor'),
      sql<boolean>`exists (select from openid_identities o where o.account_id = a.id)`.as('isLinked'),
    ])
    .where('a.kind', '=', 'administrator')
}
