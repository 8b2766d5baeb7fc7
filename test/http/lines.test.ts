import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { sendLines } from '../../src/http/lines.ts'
import { until } from '../support/until.ts'

/** In place of the minute that a reader has. */
const STALL_MILLISECONDS = 400
/** More than all buffers between the two ends hold. */
const BATCH = Array.from({ length: 1000 }, () => ({ text: 'x'.repeat(1000) }))

let server: Server
/** Batches that were asked for, whether the source was told that no more are needed, and what failed. */
let source: { batches: number; isClosed: boolean; failures: unknown[] }
beforeAll(async () => {
  const app = express()
  app.get('/endless', (_req, res) =>
    sendLines(res, endless(), (error) => source.failures.push(error), STALL_MILLISECONDS),
  )
  app.get('/failing', (_req, res) => sendLines(res, failing(), (error) => source.failures.push(error)))
  server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => void server.close())
beforeEach(() => {
  source = { batches: 0, isClosed: false, failures: [] }
})

async function* endless(): AsyncGenerator<typeof BATCH> {
  try {
    for (;;) {
      source.batches++
      yield BATCH
    }
  } finally {
    source.isClosed = true
  }
}

async function* failing(): AsyncGenerator<unknown[]> {
  yield [{ line: 1 }]
  // Until the line is on its way.
  await sleep(50)
  throw new Error('the database is gone')
}

async function open(path: string): Promise<IncomingMessage> {
  const { port } = server.address() as AddressInfo
  const [response] = await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response')
  response.on('error', () => undefined)
  return response
}

describe('an answer of lines', () => {
  test('is cut off when its reader takes nothing for too long, and reads nothing more then', async () => {
    const response = await open('/endless')
    await once(response, 'readable')
    await until(async () => source.isClosed || undefined)
    const { batches } = source
    await sleep(200)
    expect(source).toEqual({ batches, isClosed: true, failures: [] })
    response.resume()
    await expect(once(response, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(response.complete).toBe(false)
  })

  test('goes on to a reader that is slow', async () => {
    const response = await open('/endless')
    const begin = performance.now()
    let octets = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      octets += chunk.length
      await sleep(1)
      if (performance.now() - begin > 4 * STALL_MILLISECONDS) break
    }
    expect(octets).toBeGreaterThan(1_000_000)
    expect(source.failures).toEqual([])
    await until(async () => source.isClosed || undefined)
  })

  test('that fails on its way ends without its end, so that nobody takes it for complete', async () => {
    const response = await open('/failing')
    expect(response.statusCode).toBe(200)
    response.resume()
    await expect(once(response, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(source.failures).toMatchObject([{ message: 'the database is gone' }])
  })
})
