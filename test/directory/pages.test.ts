import { expect, test } from '@jest/globals'
import { decodeCursor, readPage } from '../../src/directory/pages.ts'

const rows = (count: number) => Array.from({ length: count }, (_, number) => ({ id: `org_${number}` }))

test('one row more than asked for says that there is a next page, and is not shown', async () => {
  const page = await readPage({ limit: 2, cursor: undefined }, async ({ limit, before }) => {
    expect({ limit, before }).toEqual({ limit: 3, before: undefined })
    return rows(3)
  })
  expect(page.items).toEqual(rows(2))
  expect(decodeCursor(page.nextCursor ?? '')).toBe('org_1')
  expect((await readPage({ limit: 3, cursor: undefined }, async () => rows(3))).nextCursor).toBeNull()
  expect((await readPage({ limit: 3, cursor: undefined }, async () => [])).nextCursor).toBeNull()
})

test.each(['', '!', 'A', 'AAAA', 'b3JnXzE=', 'b3JnXzF', Buffer.from('ä').toString('base64url')])(
  'the cursor %j is refused',
  (cursor) => {
    expect(() => decodeCursor(cursor)).toThrow('request_malformed')
  },
)
