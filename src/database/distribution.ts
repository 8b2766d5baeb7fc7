import { sql } from 'kysely'
import { OperatorError } from '../errors.ts'
import type { Db } from './connect.ts'

/**
 * The tables that grow without end, and the column that each is distributed by beyond one database server. All others
 * are the directory: copied to every server, so that they join freely.
 */
export const DISTRIBUTION: Readonly<Record<string, string>> = {
  grant_records: 'account_id',
  token_request_counts: 'account_id',
  token_tallies: 'account_id',
  used_jtis: 'owner',
  audit_events: 'organization_id',
  audit_heads: 'organization_id',
  audit_anchors: 'organization_id',
}

/** Of Kysely's: read and written by whoever migrates, on the coordinator. */
const LOCAL = ['kysely_migration', 'kysely_migration_lock']

/** A table of the live catalogue: partitions are not among them, their parents are. */
export type CatalogueTable = {
  name: string
  /** The columns of each primary or unique key, unique indexes included. */
  uniqueKeys: readonly (readonly string[])[]
  /** The tables that its foreign keys refer to. */
  refersTo: readonly string[]
  /** Whether a sequence makes values of a column. */
  hasSequence: boolean
}

/** Reads what a distribution depends on. */
export async function readCatalogue(db: Db): Promise<CatalogueTable[]> {
  const { rows } = await sql<CatalogueTable>`
    select
      t.relname as "name",
      array(
        select array(
          select a.attname::text
          from unnest(i.indkey::int2[]) with ordinality as k (number, position)
          join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
          order by k.position)::text
        from pg_index i where i.indrelid = t.oid and i.indisunique
      ) as "uniqueKeys",
      array(
        select distinct other.relname::text
        from pg_constraint c join pg_class other on other.oid = c.confrelid
        where c.conrelid = t.oid and c.contype = 'f' and other.oid <> t.oid
      ) as "refersTo",
      exists (
        select from pg_attribute a
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = t.oid
          and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like 'nextval(%')
      ) as "hasSequence"
    from pg_class t
    where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition
    order by t.relname`.execute(db)
  return rows
    .filter(({ name }) => !LOCAL.includes(name))
    .map((row) => ({ ...row, uniqueKeys: row.uniqueKeys.map((columns) => parseNames(String(columns))) }))
}

/** The text of an array of plain names. */
function parseNames(text: string): string[] {
  return text
    .slice(1, -1)
    .split(',')
    .filter((name) => name !== '')
}

/**
 * The statements that distribute the schema with Citus, in their order: what is referred to comes first. Throws
 * OperatorError when the schema is not one that can be distributed.
 */
export function toDistribution(tables: readonly CatalogueTable[]): string[] {
  const faults = tables.flatMap(faultsOf)
  if (faults.length > 0) throw new OperatorError(`This schema cannot be distributed: ${faults.join('; ')}.`)
  const directory = inOrder(tables.filter(({ name }) => DISTRIBUTION[name] === undefined))
  const records = tables.filter(({ name }) => DISTRIBUTION[name] !== undefined)
  return [
    ...directory.map(({ name }) => `select create_reference_table('${name}');`),
    ...records.map(({ name }) => `select create_distributed_table('${name}', '${DISTRIBUTION[name]}');`),
  ]
}

/** Records hold their distribution column in every unique key, nothing refers to them, and no sequence names them. */
function faultsOf({ name, uniqueKeys, refersTo, hasSequence }: CatalogueTable): string[] {
  const column = DISTRIBUTION[name]
  const faults = refersTo
    .filter((other) => DISTRIBUTION[other] !== undefined)
    .map((other) => `${name} refers to ${other}, which grows without end`)
  if (column === undefined) return faults
  for (const key of uniqueKeys) {
    if (!key.includes(column)) faults.push(`the unique key (${key.join(', ')}) of ${name} lacks ${column}`)
  }
  if (hasSequence) faults.push(`${name} has a sequence`)
  return faults
}

/** Each table after those that it refers to. */
function inOrder(tables: readonly CatalogueTable[]): CatalogueTable[] {
  const ordered: CatalogueTable[] = []
  const isDone = (name: string) => ordered.some((table) => table.name === name)
  while (ordered.length < tables.length) {
    const next = tables.find((table) => !isDone(table.name) && table.refersTo.every(isDone))
    if (next === undefined)
      throw new OperatorError('This schema cannot be distributed: its tables refer in a circle.')
    ordered.push(next)
  }
  return ordered
}
