import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { connectDatabase, type DatabaseAddress } from '../../src/database/connect.ts'
import { migrate } from '../../src/database/migrate.ts'
import { clusterConnection } from './cluster.ts'

/** A migrated database that everybody copies: faster than migrating one for each test file. */
const TEMPLATE = 'countersign_template'

export type TestDatabase = { address: Extract<DatabaseAddress, { host: string }>; drop(): Promise<void> }

/** Makes the template. Called once, before the first test file. */
export async function createTemplateDatabase(): Promise<void> {
  await onCluster(`create database ${TEMPLATE}`)
  const connection = connectDatabase(
    { ...clusterConnection(), database: TEMPLATE },
    { maxConnections: 2, onIdleError: () => undefined },
  )
  await migrate(connection.db)
  await connection.close()
}

/** A database of one's own: migrated, or empty. */
export async function createTestDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const database = `test_${randomBytes(8).toString('hex')}`
  await onCluster(`create database ${database} template ${options.empty ? 'template0' : TEMPLATE}`)
  return {
    address: { ...clusterConnection(), database },
    drop: () => onCluster(`drop database ${database} with (force)`),
  }
}

async function onCluster(statement: string): Promise<void> {
  const client = new pg.Client(clusterConnection())
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
