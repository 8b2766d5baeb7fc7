import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../errors.ts'

/** The largest body that anything here takes. */
export const LARGEST_BODY_BYTES = 131_072
/** So much of a body that is too large is read and thrown away, so that its sender hears why it is refused. */
export const MAX_DISCARDED_BYTES = 1_048_576
/** What is beyond the largest body, all senders together: V8 looks through the whole heap for every few megabytes of garbage. */
const DISCARDED_BYTES_PER_SECOND = MAX_DISCARDED_BYTES
/** A piece that is smaller costs as much to read as one of this size. */
const SMALLEST_PIECE_BYTES = 16

/**
 * Reads the body of a request into memory as it is: bounded, and never inflated, since a small gzip body can hold
 * gigabytes. Of one that is far too large, or comes with too many that are too large, the rest is left unread: its
 * connection ends with the answer, `res`. One that comes in thousands of tiny pieces counts as too large.
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
  let isTooLarge = Number(req.headers['content-length']) > maxBytes
  const body = createCollector()
  const meter = createMeter()
  const isWhole = await new Promise<boolean>((resolve) => {
    req.on('data', (piece: Buffer) => {
      const mayReadOn = meter.count(piece)
      isTooLarge ||= meter.weight() > maxBytes
      if (isTooLarge) body.clear()
      else body.add(piece)
      if (mayReadOn) return
      req.pause()
      res.setHeader('Connection', 'close')
      resolve(false)
    })
    req.once('end', () => resolve(true))
    const giveUp = () => resolve(false)
    req.on('error', giveUp)
    req.once('close', giveUp)
  })
  if (isTooLarge) throw new Refusal('body_too_large')
  if (!isWhole) throw new Refusal('request_malformed', { fact: 'the body did not come whole' })
  return body.whole()
}

/**
 * Reads the rest of a body whose request is answered, so that its connection can go on, and ends the connection if that is
 * too much. Node.js would read it to its end, however long it is.
 */
export function discardRest(req: IncomingMessage): void {
  const meter = createMeter()
  req.on('data', (piece: Buffer) => {
    if (!meter.count(piece)) req.socket.destroySoon()
  })
  // Now it is being read, Node.js does not do it.
  req.read(0)
}

/** Says of each piece of a body whether more may be read. */
function createMeter() {
  let weight = 0
  return {
    weight: () => weight,
    count(piece: Buffer): boolean {
      const own = Math.max(piece.length, SMALLEST_PIECE_BYTES)
      weight += own
      return weight <= LARGEST_BODY_BYTES || (weight <= MAX_DISCARDED_BYTES && mayDiscard(own))
    },
  }
}

/** When what has been thrown away will be paid for, in milliseconds of `performance.now()`. */
let paidAt = 0

function mayDiscard(bytes: number): boolean {
  const now = performance.now()
  if (paidAt > now + 1000) return false
  paidAt = Math.max(paidAt, now) + (bytes / DISCARDED_BYTES_PER_SECOND) * 1000
  return true
}

/** Puts pieces together as they come: kept one by one, pieces of one byte would take two hundred times their size. */
function createCollector() {
  let room: Buffer = Buffer.alloc(0)
  let bytes = 0
  return {
    add(piece: Buffer): void {
      const start = bytes
      bytes += piece.length
      // Most bodies are one piece.
      if (start === 0) room = piece
      else {
        if (bytes > room.length) room = enlarge(room, start, Math.max(bytes, 2 * room.length))
        piece.copy(room, start)
      }
    },
    clear(): void {
      room = Buffer.alloc(0)
      bytes = 0
    },
    whole: () => room.subarray(0, bytes),
  }
}

function enlarge(room: Buffer, bytes: number, size: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(size)
  room.copy(larger, 0, 0, bytes)
  return larger
}
