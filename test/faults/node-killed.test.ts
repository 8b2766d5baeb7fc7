import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { makeFolder } from '../support/command.ts'
import { startNodes } from '../support/nodes.ts'
import { countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { report } from './report.ts'

/** `npm run faults` kills 20 times. */
const KILLS = Number(process.env.FAULT_KILLS ?? 2)

test('a node that is killed at random moments loses nothing and accepts nothing twice', async () => {
  const folder = await makeFolder()
  const cluster = await startNodes(1, { COUNTERSIGN_DATA_DIR: join(folder, 'data') })
  const [node] = cluster.nodes
  try {
    const customer = await createCustomer(cluster)
    const load = startLoad(cluster, customer)
    const recoveries: number[] = []
    for (let kill = 0; kill < KILLS; kill++) {
      await load.nextToken()
      await sleep(Math.random() * 300)
      await node!.kill()
      const killedAt = performance.now()
      await node!.start()
      await load.nextToken()
      recoveries.push(performance.now() - killedAt)
    }
    const ledger = await load.stop()
    const losses = await countLosses(cluster, customer, ledger)
    await report('A node is killed (`kill -9`), and started again', {
      faults: KILLS,
      ledger,
      losses,
      recoveries,
    })
    expect(ledger.wrong).toEqual([])
    expect(losses).toEqual({ tokens: ledger.acknowledged.length, lost: 0, acceptedTwice: 0 })
    expect(ledger.acknowledged.length).toBeGreaterThan(KILLS)
  } finally {
    await node!.stop()
    await cluster?.close()
    await rm(folder, { recursive: true, force: true })
  }
}, 300_000)
