import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { makeFolder, type Outcome, runCommand, urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const LINK = /^ {2}https:\/\/id\.example\.test\/console\/invitation#csi_[\w-]{43}$/m

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
  folder = await makeFolder()
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

function invite(...args: string[]): Promise<Outcome> {
  const env = { DATABASE_URL: urlOf(database), COUNTERSIGN_ISSUER: 'https://id.example.test' }
  return runCommand(['invite', ...args], { cwd: folder, env })
}

test('invite prints a link once, and another one for who is there already', async () => {
  const [first, second] = [
    await invite('--email', 'Ada@acme.example'),
    await invite('--email', 'ada@acme.example'),
  ]
  for (const { code, stdout, stderr } of [first, second]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Invitation for ada@acme.example to Operator, good once, until ')
    expect(stdout).toMatch(LINK)
  }
  expect(second.stdout).not.toBe(first.stdout)
})

describe('invite refuses in one line', () => {
  test.each([
    ['without an address', [], /--email/],
    ['what is no address', ['--email', 'nonsense'], /must be an address/],
    [
      'an unknown organization',
      ['--email', 'b@c.example', '--organization', 'nope'],
      /no organization with the slug nope/,
    ],
    ['an unknown role', ['--email', 'b@c.example', '--role', 'nope'], /no built-in role nope/],
    [
      'the address of a service account',
      ['--email', 'operator@operator.id.example.test'],
      /email is of a service account/,
    ],
  ])('%s', async (_what, args, message) => {
    const { code, stdout, stderr } = await invite(...args)
    expect({ code: code === 0, stdout }).toEqual({ code: false, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })
})
