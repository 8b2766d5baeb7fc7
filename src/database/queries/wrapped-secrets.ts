import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from '../tables.ts'

/** A column of secrets that are wrapped with the key-encryption key, and the column that names their rows. */
export type WrappedColumn = { table: string; idColumn: string; column: string }

/** A secret as it is stored. */
export type WrappedSecret = { id: string; wrapped: Buffer }

/** The secrets of a column whose ids sort above `after`, in that order. */
export async function listWrapped(
  db: Kysely<Database>,
  { table, idColumn, column }: WrappedColumn,
  page: { after: string; limit: number },
): Promise<WrappedSecret[]> {
  const { rows } = await sql<WrappedSecret>`
    select ${sql.id(idColumn)} as id, ${sql.id(column)} as wrapped from ${sql.id(table)}
    where ${sql.id(column)} is not null and ${sql.id(idColumn)} > ${page.after}
    order by ${sql.id(idColumn)} limit ${page.limit}`.execute(db)
  return rows
}

/** Puts secrets in the place of those that were read; what was changed since then stays. Answers how many. */
export async function replaceWrapped(
  trx: Transaction<Database>,
  { table, idColumn, column }: WrappedColumn,
  secrets: readonly (WrappedSecret & { rewrapped: Buffer })[],
): Promise<number> {
  const { numAffectedRows } = await sql`
    update ${sql.id(table)} t set ${sql.id(column)} = n.rewrapped
    from unnest(${secrets.map(({ id }) => id)}::text[], ${secrets.map(({ wrapped }) => wrapped)}::bytea[],
                ${secrets.map(({ rewrapped }) => rewrapped)}::bytea[]) as n (id, wrapped, rewrapped)
    where t.${sql.id(idColumn)} = n.id and t.${sql.id(column)} = n.wrapped`.execute(trx)
  return Number(numAffectedRows ?? 0)
}
