import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { prepareAssertions } from './assertions.ts'
import type { Countersign } from './countersign.ts'
import { applyLoad, tokenRequest } from './load.ts'

/** What the tokens of the JWT scenario leave behind in PostgreSQL, in bytes for each. */
export type Footprint = { tokens: number; recordBytes: number; indexBytes: number; walBytes: number }

const TOKENS = 5_000
const CONNECTIONS = 32

/** Issues tokens and reads what tables and write-ahead log have grown by. */
export async function measureFootprint(countersign: Countersign): Promise<Footprint> {
  const database = await connectToDatabase(countersign)
  try {
    const before = await read(database)
    const assertions = await prepareAssertions(countersign.subjects.jwt.source, TOKENS)
    const requests = assertions.map((assertion) => tokenRequest(assertion))
    const { port } = countersign
    await applyLoad({ port, requests, connections: CONNECTIONS, expected: '"access_token"' })
    const after = await read(database)
    return {
      tokens: TOKENS,
      walBytes: (after.wal - before.wal) / TOKENS,
      recordBytes: after.tables / after.records,
      indexBytes: after.indexes / after.records,
    }
  } finally {
    await database.end()
  }
}

/** A connection of our own to the embedded PostgreSQL. */
export async function connectToDatabase({ dataDir }: Countersign): Promise<pg.Client> {
  // Lines of postmaster.pid: process, folder, start, port, folder of the socket.
  const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')
  const client = new pg.Client({ host: lines[4] ?? '', port: Number(lines[3]), user: 'countersign' })
  await client.connect()
  return client
}

async function read(database: pg.Client) {
  const { rows } = await database.query(`
    select
      pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal,
      sum(pg_table_size(inhrelid))::float8 as tables,
      sum(pg_indexes_size(inhrelid))::float8 as indexes,
      (select count(*) from grant_records)::float8 as records
    from pg_inherits where inhparent = 'grant_records'::regclass`)
  return rows[0] as { wal: number; tables: number; indexes: number; records: number }
}
