import { type Kysely, sql } from 'kysely'
import type { Database } from './tables.ts'

/** What the database server says of itself, in a session of ours. */
export type ServerFacts = {
  /** As people write it, `15.4`. */
  version: string
  /** `server_version_num`, 150004. */
  versionNumber: number
  fsync: string
  fullPageWrites: string
  synchronousCommit: string
  isolation: string
  maxConnections: number
  isSuperuser: boolean
  /** Whether the session goes over TCP to another machine, and whether TLS protects it. */
  isRemote: boolean
  isEncrypted: boolean
  /** Its clock as the statement ran, in milliseconds. */
  now: number
}

/** Reads what an operator should know of the server. Changes nothing. */
export async function readServerFacts(db: Kysely<Database>): Promise<ServerFacts> {
  const { rows } = await sql<ServerFacts>`
    select current_setting('server_version') as version,
           current_setting('server_version_num')::int as version_number,
           current_setting('fsync') as fsync,
           current_setting('full_page_writes') as full_page_writes,
           current_setting('synchronous_commit') as synchronous_commit,
           current_setting('transaction_isolation') as isolation,
           current_setting('max_connections')::int as max_connections,
           (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
           coalesce(inet_server_addr() <> inet_client_addr(), false) as is_remote,
           coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as is_encrypted,
           (extract(epoch from clock_timestamp()) * 1000)::float8 as now`.execute(db)
  const [facts] = rows
  if (facts === undefined) throw new Error('PostgreSQL does not answer a select without a table')
  return facts
}
