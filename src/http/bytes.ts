import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../errors.ts'

/** So much of a body that is too large is read and thrown away, so that its sender hears why it is refused. */
export const MAX_DISCARDED_BYTES = 1_048_576

/**
 * Reads the body of a request into memory as it is: bounded, and never inflated, since a small gzip body can hold
 * gigabytes. Of one that is far too large the rest is left unread: its connection ends with the answer, `res`.
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
  const chunks: Buffer[] = []
  let bytes = 0
  const isWhole = await new Promise<boolean>((resolve) => {
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) chunks.push(chunk)
      else chunks.length = 0
      if (bytes > MAX_DISCARDED_BYTES) {
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
  if (bytes > maxBytes) throw new Refusal('body_too_large')
  if (!isWhole) throw new Refusal('request_malformed', { fact: 'the body did not come whole' })
  const [only = Buffer.alloc(0)] = chunks
  return chunks.length > 1 ? Buffer.concat(chunks) : only
}
