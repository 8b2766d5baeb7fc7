type DirectoryTable = 'accounts' | 'keys' | 'organizations' | 'resource_servers'

/**
 * Joins the row of a table that has the id which an expression says. By its primary key, whatever the planner believes
 * of the table: the limit keeps it from being read before the rows it is joined to, as a small one would be
 * (docs/decisions/0029-one-plan.md).
 */
export function joinOne(table: DirectoryTable, alias: string, id: string): string {
  return `cross join lateral (select * from ${table} t where t.id = ${id} limit 1) ${alias}`
}
