import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbedded } from '../../src/database/embedded.ts'
import { MAINTENANCE_DATABASE } from '../../src/database/postmaster.ts'
import { isDead } from '../../src/database/process-status.ts'

/** How to reach a database of the cluster that all test files of a run share. */
export type ClusterConnection = EmbeddedPostgres['connection']

// Jest's workers inherit the environment of the process that global setup runs in.
const VARIABLE = 'TEST_DATABASE_CLUSTER'

const FOLDER = /^countersign-test-(\d+)-/

// A test database need not survive a power cut.
const SETTINGS = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'on', max_connections: '300' }

/**
 * Starts the cluster of this run in a temporary folder and publishes it to the test files; what runs that
 * were aborted have left is removed first. Answers the function that stops it and removes its folder.
 */
export async function startCluster(): Promise<() => Promise<void>> {
  await removeAbandoned()
  const dataDir = await mkdtemp(join(tmpdir(), `countersign-test-${process.pid}-`))
  const embedded = await startIn(dataDir)
  process.env[VARIABLE] = JSON.stringify({ ...embedded.connection, database: MAINTENANCE_DATABASE })
  return async () => {
    await embedded.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

/**
 * The maintenance database of this run's cluster, as a superuser: from here test files create databases of
 * their own (`create database … template …`).
 */
export function clusterConnection(): ClusterConnection {
  const published = process.env[VARIABLE]
  if (published === undefined) throw new Error('no test cluster: is globalSetup wired in jest.config.js?')
  return JSON.parse(published)
}

function startIn(dataDir: string): Promise<EmbeddedPostgres> {
  return startEmbedded({ dataDir, log: () => {}, extraSettings: SETTINGS })
}

/** A run that was killed leaves its PostgreSQL running: it is taken over, and ended. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = FOLDER.exec(name)?.[1]
    if (pid === undefined || !isDead(Number(pid))) continue
    const folder = join(tmpdir(), name)
    try {
      await (await startIn(folder)).stop()
      await rm(folder, { recursive: true, force: true })
    } catch (error) {
      console.warn(`left by an aborted test run: ${folder} (${error})`)
    }
  }
}
