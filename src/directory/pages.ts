import type { Page } from '../database/queries/page.ts'
import { Refusal } from '../errors.ts'

/** Which part of a list is asked for: `limit` from 1 to 200, `cursor` as the page before gave it. */
export type PageRequest = { limit: number; cursor: string | undefined }

/** One part of a list. `nextCursor` is null on the last one. */
export type Listing<Item> = { items: Item[]; nextCursor: string | null }

/**
 * Reads one page of a list that is sorted by id, newest first. One row more than asked for is read, which
 * says whether there is a next page without counting.
 * Throws Refusal `request_malformed` for a cursor that no list gave out.
 */
export async function readPage<Item extends { id: string }>(
  request: PageRequest,
  read: (page: Page) => Promise<Item[]>,
): Promise<Listing<Item>> {
  const before = request.cursor === undefined ? undefined : decodeCursor(request.cursor)
  return toListing(request, await read({ limit: request.limit + 1, before }), (item) => item.id)
}

/** Cuts rows to a page; `position` says where in the list a row stands. */
export function toListing<Item>(
  request: PageRequest,
  rows: readonly Item[],
  position: (item: Item) => string,
): Listing<Item> {
  const items = rows.slice(0, request.limit)
  const last = items.at(-1)
  const hasMore = rows.length > request.limit && last !== undefined
  return { items, nextCursor: hasMore ? Buffer.from(position(last)).toString('base64url') : null }
}

/** Positions are printable ASCII. A cursor grants nothing: every query is bound to its list all the same. */
const POSITION = /^[\x20-\x7e]{1,200}$/

/** Where a list goes on. Throws Refusal `request_malformed`. */
export function decodeCursor(cursor: string): string {
  const position = Buffer.from(cursor, 'base64url').toString('latin1')
  const isCanonical = Buffer.from(position, 'latin1').toString('base64url') === cursor
  if (isCanonical && POSITION.test(position)) return position
  throw new Refusal(
    'request_malformed',
    { parameter: 'cursor' },
    { hint: 'cursor must be the next_cursor of the page before.' },
  )
}
