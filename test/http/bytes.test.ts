import { createHash, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readBytes } from '../../src/http/bytes.ts'
import { listen } from '../../src/http/listener.ts'
import { eventually } from '../support/eventually.ts'
import { sendRaw } from '../support/raw-request.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** What the tests before have thrown away is paid for. */
const ALL_IS_PAID_MILLISECONDS = 2_500

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test.each([
  ['read', '/oauth/token', ''],
  ['read', '/oauth/revoke', ''],
  ['read', '/sign-in/password', ''],
  ['refused unread', '/oauth/token', 'Origin: https://elsewhere.test\r\n'],
  ['refused unread', '/sign-in/password', 'Origin: https://elsewhere.test\r\n'],
  ['refused unread', '/nowhere', ''],
])('a body far too large that is %s at %s ends its connection', async (_how, path, headers) => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1').resume()
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Length: 1073741824\r\n\r\n`)
  expect(await flood(socket, closed, Buffer.alloc(1_048_576, 'x'))).toBeLessThan(64)
})

test.each([
  ['read', 'POST /oauth/token'],
  ['refused unread', 'POST /nowhere'],
  ['answered without a look at it', 'GET /health/live'],
])('nor is a body without a length, %s at %s, read to its end', async (_how, request) => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1').resume()
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`${request} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`)
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1_048_576, 'x'), Buffer.from('\r\n')])
  expect(await flood(socket, closed, chunk)).toBeLessThan(64)
})

test('a body that is too large is read, so that its sender hears why; of many at a time few are', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', connection: 'keep-alive' }
  const send = () => sendRaw(server, { headers, body: 'x'.repeat(1_000_000) })
  await sleep(ALL_IS_PAID_MILLISECONDS)
  const alone = await send()
  expect(alone).toMatchObject({ status: 413, body: { error: 'invalid_request' } })
  expect(alone.headers.get('connection')).toBe('keep-alive')
  const many = await Promise.allSettled(Array.from({ length: 16 }, send))
  const ended = many.filter(
    (each) => each.status === 'rejected' || each.value.headers.get('connection') === 'close',
  )
  expect(ended.length).toBeGreaterThan(10)
})

test('a body that is refused unread is read as far, and its connection goes on', async () => {
  await sleep(ALL_IS_PAID_MILLISECONDS)
  const headers = { connection: 'keep-alive' }
  const answer = await sendRaw(server, { path: '/nowhere', headers, body: 'x'.repeat(500_000) })
  expect(answer.status).toBe(404)
  expect(answer.headers.get('connection')).toBe('keep-alive')
})

test.each([0, 5])(
  'a small body without a length that comes %d ms after its request is refused does not end the connection',
  async (milliseconds) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let answers = ''
    socket.on('data', (bytes) => {
      answers += bytes
    })
    for (let turn = 1; turn <= 2; turn++) {
      socket.write('POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
      if (milliseconds > 0) await sleep(milliseconds)
      socket.write('3\r\nabc\r\n0\r\n\r\n')
      await eventually(() => expect(answers.match(/HTTP\/1\.1 404/g)).toHaveLength(turn))
    }
    socket.destroy()
  },
)

test('a body that comes in thousands of tiny pieces is refused', async () => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
  socket.write('1\r\nx\r\n'.repeat(20_000))
  socket.end('0\r\n\r\n')
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 413 /)
})

test('a body that comes in pieces is put together', async () => {
  const listener = await listen(
    async (req, res) => void res.end(hashOf(await readBytes(req, res, 131_072))),
    {
      host: '127.0.0.1',
      port: 0,
    },
  )
  for (const bytes of [0, 1, 16_384, 16_385, 131_072]) {
    const body = randomBytes(bytes)
    const answer = await sendRaw({ url: `http://127.0.0.1:${listener.port}` }, { body, chunked: true })
    expect(answer.text).toBe(hashOf(body))
  }
  await listener.drain()
})

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Writes until the other side has enough; answers how often. */
async function flood(socket: Socket, closed: Promise<unknown>, bytes: Buffer): Promise<number> {
  let sent = 0
  for (; !socket.destroyed && sent < 256; sent++)
    await Promise.race([closed, new Promise((resolve) => socket.write(bytes, resolve))])
  await closed
  return sent
}
