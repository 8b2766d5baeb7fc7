import { pipeline } from 'node:stream/promises'
import type { Response } from 'express'
import { codeOf } from '../errors.ts'

export const LINES_TYPE = 'application/x-ndjson'

/** What Node.js says of a connection that was closed before the answer was complete. */
const READER_GONE = 'ERR_STREAM_PREMATURE_CLOSE'
/** A reader that takes nothing for so long is gone, and its socket with it. */
const STALL_MILLISECONDS = 60_000

/**
 * Answers with one JSON text a line, a batch at a time and no faster than the caller reads. Nothing is held
 * while it does not read; when it leaves, or takes nothing for `stallMilliseconds`, no further batch is asked for.
 *
 * What fails before the first line is thrown, and answered like every error. What fails later can only be
 * told by ending the answer without its end, which HTTP makes visible; `onFailure` hears of it.
 */
export async function sendLines(
  res: Response,
  batches: AsyncIterable<readonly unknown[]>,
  onFailure: (error: unknown) => void,
  stallMilliseconds = STALL_MILLISECONDS,
): Promise<void> {
  const texts = toTexts(batches)
  const first = await texts.next()
  res.type(LINES_TYPE)
  if (res.req.method === 'HEAD') {
    await texts.return(undefined)
    res.end()
    return
  }
  res.setTimeout(stallMilliseconds, () => res.destroy())
  try {
    await pipeline(startingWith(first, texts), res)
  } catch (error) {
    if (codeOf(error) !== READER_GONE) onFailure(error)
  }
}

async function* toTexts(batches: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  for await (const batch of batches) {
    if (batch.length > 0) yield batch.map((item) => `${JSON.stringify(item)}\n`).join('')
  }
}

async function* startingWith(
  first: IteratorResult<string>,
  rest: AsyncIterable<string>,
): AsyncGenerator<string> {
  if (first.done === true) return
  yield first.value
  yield* rest
}
