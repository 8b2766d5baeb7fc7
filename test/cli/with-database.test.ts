import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { withDatabase } from '../../src/cli/with-database.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { OperatorError } from '../../src/errors.ts'
import { urlOf } from '../support/command.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let config: Config
beforeAll(async () => {
  database = await createTestDatabase()
  config = parseConfig({ DATABASE_URL: urlOf(database) })
})
afterAll(() => database.drop())

test('a database that goes away in the middle of a command is told in one line', async () => {
  const task = withDatabase(config, ({ pool }) => pool.query('select pg_terminate_backend(pg_backend_pid())'))
  const refusal = await task.catch((error) => error)
  expect(refusal).toBeInstanceOf(OperatorError)
  expect(refusal.message).toMatch(/^The database went away \(.+\)\. Run the command again\.$/)
})

test('what fails in the command itself is thrown as it is', async () => {
  const bug = new TypeError('a bug')
  await expect(withDatabase(config, () => Promise.reject(bug))).rejects.toBe(bug)
})
