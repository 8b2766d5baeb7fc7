import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

/** What an attacker does, from a thread of its own: until it is ended. */
export type Attack =
  | { kind: 'flood'; port: number; connections: number; requests: readonly string[] }
  | { kind: 'idle'; port: number; connections: number }
  | { kind: 'slow'; port: number; connections: number }

/** Answers so far, posted a few times a second. */
export type Progress = { answers: number; open: number }

const REPORT_MILLISECONDS = 100
const DRIP_MILLISECONDS = 500
const RECONNECT_MILLISECONDS = 10

const attack = workerData as Attack
let answers = 0
let open = 0
for (let index = 0; index < attack.connections; index++) begin(index)
setInterval(() => parentPort?.postMessage({ answers, open } satisfies Progress), REPORT_MILLISECONDS)

/** Whatever the server does to a connection, the next one is made at once. */
function begin(index: number): void {
  const socket = connect({ port: attack.port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  socket.once('connect', () => {
    open++
    socket.once('close', () => open--)
    work(socket, index)
  })
  socket.once('close', () => setTimeout(() => begin(index), RECONNECT_MILLISECONDS))
}

function work(socket: Socket, index: number): void {
  switch (attack.kind) {
    case 'idle':
      return
    case 'slow': {
      // A request that never ends: a header at first, then one letter after the other.
      socket.write('POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n')
      const drip = setInterval(() => socket.write('X'), DRIP_MILLISECONDS)
      socket.once('close', () => clearInterval(drip))
      return
    }
    case 'flood': {
      // Each connection has requests of its own, as far as there are as many.
      let next = index
      const send = () => {
        socket.write(Buffer.from(attack.requests[next % attack.requests.length] ?? '', 'latin1'))
        next += attack.connections
      }
      socket.on('data', () => {
        answers++
        send()
      })
      send()
    }
  }
}
