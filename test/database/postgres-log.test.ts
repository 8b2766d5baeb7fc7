import { expect, test } from '@jest/globals'
import { culprit } from '../../src/database/postgres-log.ts'

test.each([
  [
    'the first complaint, not what follows from it',
    'creating configuration files ... ok\nrunning bootstrap script ... 2026-11-21 23:12:47.543 UTC [7] FATAL:  could' +
      ' not extend file "base/1/2691": No space left on device\n2026-11-21 23:12:47.543 UTC [7] HINT:  Check free' +
      ' disk space.\n2026-11-21 23:12:47.543 UTC [7] PANIC:  cannot abort transaction 1\nAborted\n',
    'could not extend file "base/1/2691": No space left on device',
  ],
  [
    'not the answers to our own polling',
    '2026-11-21 23:12:47.5 UTC [8] FATAL:  the database system is starting up\n2026-11-21 23:12:48.5 UTC [7] PANIC: ' +
      ' could not locate a valid checkpoint record\n',
    'could not locate a valid checkpoint record',
  ],
  [
    'an error of initdb',
    'initdb: error: cannot be run as root\ninitdb: hint: log in\n',
    'cannot be run as root',
  ],
  ['the last line where nothing is marked', 'starting\nBus error\n\n', 'Bus error'],
  ['something, where nothing was said', '', 'it said nothing'],
])('the line quoted to the operator is %s', (_, output, expected) => {
  expect(culprit(output)).toBe(expected)
})
