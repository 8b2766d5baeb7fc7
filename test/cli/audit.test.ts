import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { makeFolder, type Outcome, runCommand, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
  folder = await makeFolder()
  expect((await run('bootstrap')).code).toBe(0)
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const run = (...args: string[]): Promise<Outcome> =>
  runCommand(args, { cwd: folder, env: { DATABASE_URL: urlOf(database) } })

async function query(text: string): Promise<void> {
  const client = new pg.Client(database.address)
  await client.connect()
  await client.query(text)
  await client.end()
}

describe('countersign audit verify', () => {
  test('says of each organization that its trail holds, and ends with 0', async () => {
    for (const args of [[], ['--organization', 'operator']]) {
      const { code, stdout, stderr } = await run('audit', 'verify', ...args)
      expect(stdout).toMatch(
        /^operator \(org_\w+\): ok, \d+ events, from \S+Z to \S+Z, sequence 1 to \d+, hash [0-9a-f]{64}\n$/,
      )
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    }
  })

  test('names the event that was changed by hand, and ends with 1 until that is undone', async () => {
    await query(`update audit_events set actor_name = 'nobody' where sequence = 2`)
    const { code, stdout, stderr } = await run('audit', 'verify')
    expect(stdout).toMatch(
      /^operator \(org_\w+\): BROKEN at sequence 2, event evt_\w+: content changed \(.+\); before it: 1 event, /,
    )
    expect(stderr).toBe('countersign: 1 of 1 trail is broken.\n')
    expect(code).toBe(1)
    await query(`update audit_events set actor_name = 'Countersign' where sequence = 2`)
    expect((await run('audit', 'verify')).code).toBe(0)
  })

  test('says so when there is no such organization', async () => {
    const { code, stdout, stderr } = await run('audit', 'verify', '--organization', 'nobody')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe('countersign: There is no organization with the slug nobody.\n')
  })
})
