import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { connectDatabase, type DatabaseConnection } from '../../src/database/connect.ts'
import {
  type CatalogueTable,
  DISTRIBUTION,
  readCatalogue,
  toDistribution,
} from '../../src/database/distribution.ts'
import { OperatorError } from '../../src/errors.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let connection: DatabaseConnection
let catalogue: CatalogueTable[]

beforeAll(async () => {
  database = await createTestDatabase()
  connection = connectDatabase(database.address, { maxConnections: 2, onIdleError: () => undefined })
  catalogue = await readCatalogue(connection.db)
})
afterAll(async () => {
  await connection.close()
  await database.drop()
})

describe('records', () => {
  test.each(Object.entries(DISTRIBUTION))(
    '%s has %s in every primary and unique key, and no sequence',
    (name, column) => {
      const table = catalogue.find((each) => each.name === name)
      expect(table?.uniqueKeys.length).toBeGreaterThan(0)
      for (const key of table?.uniqueKeys ?? []) expect(key).toContain(column)
      expect(table?.hasSequence).toBe(false)
    },
  )

  test('are referred to by nobody', () => {
    for (const { name, refersTo } of catalogue) {
      expect({ name, to: refersTo.filter((other) => other in DISTRIBUTION) }).toEqual({ name, to: [] })
    }
  })

  test('are all tables that have partitions', async () => {
    const { rows } = await connection.pool.query(`select relname from pg_class where relkind = 'p'`)
    for (const { relname } of rows) expect(DISTRIBUTION).toHaveProperty(relname)
  })
})

test('the statements name every table once, and each after those that it refers to', () => {
  const statements = toDistribution(catalogue)
  const names = statements.map((text) => /\('(\w+)'/.exec(text)?.[1])
  expect(names.toSorted()).toEqual(catalogue.map(({ name }) => name).toSorted())
  for (const { name, refersTo } of catalogue) {
    for (const other of refersTo) expect(names.indexOf(other)).toBeLessThan(names.indexOf(name))
  }
  expect(statements).toContain("select create_distributed_table('grant_records', 'account_id');")
  expect(statements).toContain("select create_reference_table('keys');")
})

describe('a schema that cannot be distributed is refused', () => {
  const records: CatalogueTable = {
    name: 'grant_records',
    uniqueKeys: [['account_id', 'id']],
    refersTo: [],
    hasSequence: false,
  }
  const directory: CatalogueTable = { name: 'keys', uniqueKeys: [['id']], refersTo: [], hasSequence: true }

  test.each<[string, CatalogueTable[], RegExp]>([
    [
      'a key without the column',
      [{ ...records, uniqueKeys: [['id']] }],
      /\(id\) of grant_records lacks account_id/,
    ],
    ['a sequence', [{ ...records, hasSequence: true }], /grant_records has a sequence/],
    [
      'a reference to records',
      [records, { ...directory, refersTo: ['grant_records'] }],
      /keys refers to grant_records/,
    ],
    [
      'a circle',
      [
        { ...directory, refersTo: ['roles'] },
        { ...directory, name: 'roles', refersTo: ['keys'] },
      ],
      /circle/,
    ],
  ])('%s', (_name, tables, reason) => {
    expect(() => toDistribution(tables)).toThrow(OperatorError)
    expect(() => toDistribution(tables)).toThrow(reason)
  })
})
