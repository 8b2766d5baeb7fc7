import { expect, test } from '@jest/globals'
import { parseDatabaseUrl } from '../src/database-url.ts'

test.each([
  ['postgresql://u:p%40ss@db.internal/name', ['postgresql://u:p%40ss@db.internal/name'], false],
  ['postgres:///name?host=%2Frun%2Fpg&port=5433', ['postgres:///name?host=%2Frun%2Fpg&port=5433'], false],
  ['postgresql://db/name?target_session_attrs=any', ['postgresql://db/name'], false],
  ['postgresql://db/name?target_session_attrs=read-write', ['postgresql://db/name'], true],
  [
    'postgresql://u:p@a:5432,[::1]:5433/name?sslmode=require&target_session_attrs=primary',
    ['postgresql://u:p@a:5432/name?sslmode=require', 'postgresql://u:p@[::1]:5433/name?sslmode=require'],
    true,
  ],
  [
    'postgresql:///name?host=/run/a,/run/b&port=5432&user=u',
    [
      'postgresql:///name?user=u&host=%2Frun%2Fa&port=5432',
      'postgresql:///name?user=u&host=%2Frun%2Fb&port=5432',
    ],
    true,
  ],
])('%s names its servers, and whether they must take writes', (text, urls, mustWrite) => {
  expect(parseDatabaseUrl(text)).toEqual({ urls, mustWrite })
})

test.each([
  ['mysql://db/name', /postgresql:\/\/ URL/],
  ['postgresql://a/name?target_session_attrs=standby', /read-write, primary or any/],
  ['postgresql://a:x/name', /hosts that can be read/],
  ['postgresql://[oops/name', /hosts that can be read/],
  ['postgresql://a,,b/name', /hosts that can be read/],
  ['postgresql:///name?host=/a,/b,/c&port=1,2', /one port, or one for each host/],
])('%s is refused with a reason that repeats nothing of it', (text, reason) => {
  expect(() => parseDatabaseUrl(text)).toThrow(reason)
})
