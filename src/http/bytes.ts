import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../errors.ts'

/** The largest body that anything here takes. */
export const LARGEST_BODY_BYTES = 131_072
/** So much of a body that is too large is read and thrown away, so that its sender hears why it is refused. */
const MAX_DISCARDED_BYTES = 1_048_576
/** So much a second, all senders together: V8 looks through the whole heap for every few megabytes of such garbage. */
const DISCARDED_BYTES_PER_SECOND = MAX_DISCARDED_BYTES

/**
 * Reads the body of a request into memory as it is: bounded, and never inflated, since a small gzip body can hold
 * gigabytes. Of one that is far too large, or comes with too many that are too large, the rest is left unread: its
 * connection ends with the answer, `res`.
 * Throws Refusal `media_type_unsupported`, `body_too_large`, or `request_malformed` when it does not come whole.
 */
export async function readBytes(
  req: IncomingMessage,
  res: ServerResponse,
  maxBytes: number,
): Promise<Buffer> {
  const encoding = req.headers['content-encoding']?.toLowerCase() ?? 'identity'
  if (encoding !== 'identity') {
    throw new Refusal(
      'media_type_unsupported',
      { fact: 'content encoding' },
      { hint: 'Send the body without a content encoding.' },
    )
  }
  const isDeclaredTooLarge = Number(req.headers['content-length']) > maxBytes
  const chunks: Buffer[] = []
  let bytes = 0
  const isWhole = await new Promise<boolean>((resolve) => {
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes && !isDeclaredTooLarge) return void chunks.push(chunk)
      chunks.length = 0
      if (bytes > MAX_DISCARDED_BYTES || !mayDiscard(chunk.length)) {
        req.pause()
        res.setHeader('Connection', 'close')
        resolve(false)
      }
    })
    req.once('end', () => resolve(true))
    const giveUp = () => resolve(false)
    req.on('error', giveUp)
    req.once('close', giveUp)
  })
  if (bytes > maxBytes || isDeclaredTooLarge) throw new Refusal('body_too_large')
  if (!isWhole) throw new Refusal('request_malformed', { fact: 'the body did not come whole' })
  const [only = Buffer.alloc(0)] = chunks
  return chunks.length > 1 ? Buffer.concat(chunks) : only
}

/** When what has been thrown away will be paid for, in milliseconds of `performance.now()`. */
let paidAt = 0

function mayDiscard(bytes: number): boolean {
  const now = performance.now()
  if (paidAt > now + 1000) return false
  paidAt = Math.max(paidAt, now) + (bytes / DISCARDED_BYTES_PER_SECOND) * 1000
  return true
}
