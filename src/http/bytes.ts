import type { IncomingMessage } from 'node:http'
import { Refusal } from '../errors.ts'

/**
 * Reads the body of a request into memory as it is: bounded, and never inflated, since a small gzip body can hold
 * gigabytes. One that is too large is still read to its end, so that its sender hears why it is refused.
 * Throws Refusal `media_type_unsupported`, `body_too_large`, or `request_malformed` when it does not come whole.
 */
export async function readBytes(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
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
    })
    req.once('end', () => resolve(true))
    const giveUp = () => resolve(false)
    req.on('error', giveUp)
    req.once('close', giveUp)
  })
  if (!isWhole) throw new Refusal('request_malformed', { fact: 'the body did not come whole' })
  if (bytes > maxBytes) throw new Refusal('body_too_large')
  const [only = Buffer.alloc(0)] = chunks
  return chunks.length > 1 ? Buffer.concat(chunks) : only
}
