import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../support/eventually.ts'
import { type Nodes, startNodes } from '../support/nodes.ts'
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts'
import { countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { report } from './report.ts'

let primary: PostgresServer
let standby: PostgresServer
let cluster: Nodes

beforeAll(async () => {
  primary = await startPostgresServer({ fsync: 'off' })
  standby = await primary.createStandby()
  // The standby is named first: nodes must find out for themselves who takes writes.
  cluster = await startNodes(2, { DATABASE_URL: standby.url(primary) })
})
afterAll(async () => {
  await cluster?.close()
  await standby.close()
  await primary.close()
})

test('nodes follow a promotion to the standby, and with a synchronous standby nothing is lost', async () => {
  const customer = await createCustomer(cluster)
  await primary.query(`alter system set synchronous_standby_names = 'standby'`)
  await primary.query('select pg_reload_conf()')
  await eventually(async () => {
    const { rows } = await primary.query('select sync_state from pg_stat_replication')
    expect(rows).toEqual([{ sync_state: 'sync' }])
  })
  const load = startLoad(cluster, customer)
  await load.nextToken()
  await sleep(2_000)
  await primary.kill()
  await standby.promote()
  const recovery = await load.nextToken()
  const ledger = await load.stop()
  const losses = await countLosses(cluster, customer, ledger)
  await report('Failover to a synchronous standby', { faults: 1, ledger, losses, recoveries: [recovery] })
  expect(ledger.wrong).toEqual([])
  expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
})
