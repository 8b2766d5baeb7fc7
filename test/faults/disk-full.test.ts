import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from '@jest/globals'
import { makeFolder } from '../support/command.ts'
import { startNodes } from '../support/nodes.ts'
import { countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { report } from './report.ts'

/** Holds a new database, and little more. */
const SIZE = '160m'

const folder = await makeFolder()
const disk = join(folder, 'disk')
const isMounted = mountSmallDisk()
afterAll(async () => {
  if (isMounted) execFileSync('umount', ['--lazy', disk])
  await rm(folder, { recursive: true, force: true })
})

const testWithDisk = isMounted ? test : test.skip

testWithDisk(
  'an embedded database whose disk is full refuses tokens, and takes up again when there is room',
  async () => {
    const cluster = await startNodes(1, { COUNTERSIGN_DATA_DIR: join(disk, 'data') })
    try {
      const customer = await createCustomer(cluster)
      const load = startLoad(cluster, customer)
      await load.nextToken()
      const ballast = join(disk, 'ballast')
      await writeFile(ballast, Buffer.alloc(512 * 1024 * 1024)).catch(() => 'the disk is full')
      // What PostgreSQL has set aside before lasts for a moment.
      const giveUpAt = performance.now() + 60_000
      while (load.ledger.unavailable === 0 && performance.now() < giveUpAt) await sleep(50)
      await sleep(2_000)
      const { unavailable } = load.ledger
      await rm(ballast)
      const recovery = await load.nextToken()
      const ledger = await load.stop()
      const losses = await countLosses(cluster, customer, ledger)
      await report('The disk of the embedded database is full', {
        faults: 1,
        ledger,
        losses,
        recoveries: [recovery],
      })
      expect(unavailable).toBeGreaterThan(0)
      expect(ledger.wrong).toEqual([])
      expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
    } finally {
      await cluster.nodes[0]!.stop()
      await cluster.close()
    }
  },
)

/** Only root may mount; elsewhere the test is skipped, and says so. */
function mountSmallDisk(): boolean {
  try {
    execFileSync('mkdir', ['-p', disk])
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0755`, 'tmpfs', disk], { stdio: 'ignore' })
    chmodSync(disk, 0o755)
    return true
  } catch {
    console.warn('skipped: the test of a full disk mounts a small one, which this user may not')
    return false
  }
}
