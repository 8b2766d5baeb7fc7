import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { listen } from '../../src/http/listener.ts'
import { sendRaw } from '../support/raw-request.ts'

/** Sends the beginning of a request and then nothing; answers what was answered, and how many seconds the connection lived. */
async function stall(port: number, beginning: string): Promise<{ answer: string; seconds: number }> {
  const startedAt = performance.now()
  const socket = connect(port, '127.0.0.1')
  socket.write(beginning)
  const answer = await text(socket)
  return { answer, seconds: (performance.now() - startedAt) / 1000 }
}

test('a caller that does not finish its request is let go, and hears why once its headers came', async () => {
  const listener = await listen((req, res) => req.resume().once('end', () => res.end()), {
    host: '127.0.0.1',
    port: 0,
  })
  const whole = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'
  const [headers, body, further] = await Promise.all([
    stall(listener.port, 'POST / HTTP/1.1\r\nHost: h\r\n'),
    stall(listener.port, 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n'),
    stall(listener.port, `${whole}POST / HTTP/1.1\r\nHost: h\r\n`),
  ])
  await listener.drain()
  expect(headers.answer).toBe('')
  expect(headers.seconds).toBeLessThan(30)
  expect(body.answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(further.answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 408 /)
  for (const { seconds } of [body, further]) expect(seconds).toBeLessThan(40)
})

test('connections that bring nothing are let go, not all at one time, and those that do stay', async () => {
  const listener = await listen((_req, res) => res.end(), { host: '127.0.0.1', port: 0 })
  const agent = new Agent({ keepAlive: true })
  await once((await once(get({ port: listener.port, agent }), 'response'))[0].resume(), 'close')
  const stalled = await Promise.all(Array.from({ length: 20 }, () => stall(listener.port, '')))
  const lives = stalled.map(({ seconds }) => seconds)
  expect(Math.min(...lives)).toBeGreaterThan(11)
  expect(Math.max(...lives)).toBeLessThan(30)
  expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(3)
  expect(Object.values(agent.freeSockets).flat()).toHaveLength(1)
  agent.destroy()
  await listener.drain()
})

test('a request that expects what no server knows is answered by the application', async () => {
  const listener = await listen((req, res) => res.end(`${req.method} seen`), { host: '127.0.0.1', port: 0 })
  const answer = await sendRaw(
    { url: `http://127.0.0.1:${listener.port}` },
    { path: '/', headers: { expect: 'the unexpected' } },
  )
  await listener.drain()
  expect(answer).toMatchObject({ status: 200, text: 'POST seen' })
})

test('an answer that a caller does not read is not kept for it, while one that waits for its turn is', async () => {
  const listener = await listen(
    (req, res) => {
      const slowly = req.url === '/slow' ? 20_000 : 0
      setTimeout(() => res.end(Buffer.alloc(20_000_000)), slowly)
    },
    { host: '127.0.0.1', port: 0 },
  )
  const socket = connect(listener.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  const patient = fetch(`http://127.0.0.1:${listener.port}/slow`).then((answer) => answer.arrayBuffer())
  // Node looks twice whether anything was taken meanwhile.
  await sleep(65_000)
  let octets = 0
  socket.on('data', (chunk) => {
    octets += chunk.length
  })
  await once(socket.resume(), 'close')
  expect(octets).toBeLessThan(20_000_000)
  expect((await patient).byteLength).toBe(20_000_000)
  await listener.drain()
})

test('a connection outlives the pauses of a proxy', async () => {
  const listener = await listen((req, res) => res.end(String(req.socket.remotePort)), {
    host: '127.0.0.1',
    port: 0,
  })
  const agent = new Agent({ keepAlive: true })
  const askFromPort = async () => {
    const [answer] = await once(get({ port: listener.port, agent }), 'response')
    return text(answer)
  }
  const first = await askFromPort()
  await sleep(12_000)
  const second = await askFromPort()
  agent.destroy()
  await listener.drain()
  expect(second).toBe(first)
})
