import { describe, expect, test } from '@jest/globals'
import { judgeClock, judgeServer } from '../../../src/cli/checks/database.ts'
import { findMemoryDumps, judgeProcessMemory } from '../../../src/cli/checks/process-memory.ts'
import { parseConfig } from '../../../src/config.ts'
import type { ServerFacts } from '../../../src/database/inspection.ts'

const WELL: ServerFacts = {
  version: '18.4',
  versionNumber: 180_004,
  fsync: 'on',
  fullPageWrites: 'on',
  synchronousCommit: 'on',
  isolation: 'read committed',
  maxConnections: 100,
  isSuperuser: false,
  isRemote: true,
  isEncrypted: true,
  now: 0,
}
const config = parseConfig({ DATABASE_URL: 'postgresql://db.example/countersign' })

describe('a database server', () => {
  const judge = (changes: Partial<ServerFacts>) =>
    judgeServer({ ...WELL, ...changes }, config)
      .filter(({ verdict }) => verdict !== 'ok')
      .map(({ name, verdict }) => `${name}: ${verdict}`)

  test.each<[string, Partial<ServerFacts>, string[]]>([
    ['that is well', {}, []],
    ['that is too old', { versionNumber: 140_011 }, ['database version: failed']],
    ['without fsync', { fsync: 'off' }, ['database durability: failed']],
    [
      'that answers a commit before it is written',
      { synchronousCommit: 'off' },
      ['database durability: failed'],
    ],
    ['that waits for a replica too', { synchronousCommit: 'remote_apply' }, []],
    ['that may tear pages', { fullPageWrites: 'off' }, ['database durability: warning']],
    ['whose isolation something has changed', { isolation: 'serializable' }, ['database isolation: failed']],
    ['that is reached in the clear', { isEncrypted: false }, ['database connection: warning']],
    ['on this machine, without TLS', { isRemote: false, isEncrypted: false }, []],
    ['that knows us as its superuser', { isSuperuser: true }, ['database connection: warning']],
    ['with room for one node', { maxConnections: 20 }, ['database connections: warning']],
    ['with room for none', { maxConnections: 10 }, ['database connections: warning']],
  ])('%s', (_what, changes, expected) => expect(judge(changes)).toEqual(expected))
})

test.each([
  [0, 4, 'ok'],
  [900, 10, 'ok'],
  // The answer took as long as the clocks differ: nobody knows.
  [1_500, 3_000, 'ok'],
  [-1_500, 10, 'warning'],
  [20_000, 10, 'warning'],
  [31_000, 10, 'failed'],
  [-300_000, 10, 'failed'],
])('a clock that is off by %d ms, asked in %d ms, is %s', (offset, roundTrip, verdict) => {
  expect(judgeClock(offset, roundTrip).verdict).toBe(verdict)
})

test('every way in which Node.js writes memory out is known, however it is spelt', () => {
  const flags = [
    '--max-old-space-size=512',
    '--heapsnapshot_near_heap_limit=2',
    '--inspect=0.0.0.0:9229',
    '--report-on-signal',
  ]
  expect(findMemoryDumps(flags)).toEqual(flags.slice(1))
})

test.each([
  ['0', 'ok'],
  [undefined, 'ok'],
  ['unlimited', 'warning'],
  ['1048576', 'warning'],
])('a limit of core dumps of %s is %s', (limit, verdict) => {
  expect(judgeProcessMemory([], limit).verdict).toBe(verdict)
})
