import { execFileSync, execSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from '@jest/globals'
import { makeFolder } from '../support/command.ts'
import { startNodes } from '../support/nodes.ts'
import { countLosses, createCustomer, startLoad } from '../support/steady-load.ts'
import { report } from './report.ts'

/** The release before: what may still be running while nodes of this one start. */
const PREVIOUS_RELEASE = '8907090'

const ROOT = join(import.meta.dirname, '../..')
const folder = await makeFolder()
const previous = checkOutPrevious()
afterAll(() => rm(folder, { recursive: true, force: true }))

const testWithPrevious = previous === undefined ? test.skip : test

testWithPrevious(
  'nodes of the previous release serve on while one of this release migrates the database and joins them',
  async () => {
    const cluster = await startNodes(1, undefined, previous)
    try {
      const customer = await createCustomer(cluster)
      const load = startLoad(cluster, customer)
      await load.nextToken()
      await cluster.add()
      await load.nextToken()
      await sleep(3_000)
      const ledger = await load.stop()
      const losses = await countLosses(cluster, customer, ledger)
      await report('Rolling upgrade from the previous release', { faults: 1, ledger, losses, recoveries: [] })
      expect(ledger.wrong).toEqual([])
      expect(ledger).toMatchObject({ broken: 0, unavailable: 0 })
      expect(losses).toMatchObject({ lost: 0, acceptedTwice: 0 })
    } finally {
      await cluster.close()
    }
  },
)

/** Its entry, with the packages of this one. Undefined, and said so, where the history is not at hand. */
function checkOutPrevious(): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${PREVIOUS_RELEASE}^{commit}`], { cwd: ROOT, stdio: 'ignore' })
  } catch {
    console.warn(`skipped: the commit of the previous release (${PREVIOUS_RELEASE}) is not in this clone`)
    return undefined
  }
  execSync(`git archive ${PREVIOUS_RELEASE} | tar -x -C ${folder}`, { cwd: ROOT })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'src/main.ts')
}
