import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sendRaw } from '../support/raw-request.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

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
  // What was read before is paid for by the second.
  await sleep(2_500)
  const alone = await send()
  expect(alone).toMatchObject({ status: 413, body: { error: 'invalid_request' } })
  expect(alone.headers.get('connection')).toBe('keep-alive')
  const many = await Promise.all(Array.from({ length: 16 }, send))
  for (const { status } of many) expect(status).toBe(413)
  const ended = many.filter(({ headers }) => headers.get('connection') === 'close')
  expect(ended.length).toBeGreaterThan(12)
})

/** Writes until the other side has enough; answers how often. */
async function flood(socket: Socket, closed: Promise<unknown>, bytes: Buffer): Promise<number> {
  let sent = 0
  for (; !socket.destroyed && sent < 256; sent++)
    await Promise.race([closed, new Promise((resolve) => socket.write(bytes, resolve))])
  await closed
  return sent
}
