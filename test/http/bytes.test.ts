import { connect } from 'node:net'
import { expect, test } from '@jest/globals'
import { readBytes } from '../../src/http/bytes.ts'
import { listen } from '../../src/http/listener.ts'

const MEBIBYTE = 1_048_576

test('a body without end is refused in the middle, and its connection ends', async () => {
  const listener = await listen(
    (req, res) => {
      readBytes(req, 1_000).catch(() => res.writeHead(413, { connection: 'close' }).end())
    },
    { host: '127.0.0.1', port: 0 },
  )
  const socket = connect(listener.port, '127.0.0.1').resume()
  // The end comes while we still write.
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${1024 * MEBIBYTE}\r\n\r\n`)
  let sent = 0
  while (!socket.destroyed && sent < 256) {
    await Promise.race([closed, new Promise((resolve) => socket.write(Buffer.alloc(MEBIBYTE, 'x'), resolve))])
    sent++
  }
  await closed
  await listener.drain()
  expect(sent).toBeLessThan(64)
})
