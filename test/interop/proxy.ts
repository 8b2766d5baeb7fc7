import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RawTarget } from '../support/raw-request.ts'
import type { Answer } from '../support/server.ts'
import type { Start } from './toolchains.ts'

/** A proxy of the guide to forward auth: which configuration it has, and how it is started. */
export type ProxyProgram = {
  /** The configuration, as it stands in the guide. */
  configuration: string
  /** A socket in the folder unless said otherwise: a port that was free may be taken a moment later. */
  listensOn?: 'port'
  /** Takes no address of Countersign but one of https. */
  asksByTls?: true
  /** Makes of it what can be started here: addresses, socket, folder and secret. Nothing else may change. */
  prepare(text: string, place: Place): PreparedProxy
}

export type Place = {
  folder: string
  socketPath: string
  /** For programs that cannot listen on a socket in a folder. */
  port: number
  countersign: string
  api: string
  resourceServerId: string
  secret: string
}
export type PreparedProxy = { files: Record<string, string>; args: string[]; env?: Record<string, string> }
export type RunningProxy = RawTarget & { stop(): Promise<void> }

const START_TIMEOUT_MILLISECONDS = 30_000

/** Starts a real proxy, in a folder of its own, and waits until it takes connections. */
export async function startProxy(
  start: Start,
  program: ProxyProgram,
  addresses: Omit<Place, 'folder' | 'socketPath' | 'port'>,
): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-proxy-'))
  const socketPath = join(folder, 'http.sock')
  const port = await findFreePort()
  const place = { ...addresses, folder, socketPath, port }
  const { files, args, env } = program.prepare(program.configuration, place)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 })
  const child = start(args, env)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = async () => {
    child.kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  const deadline = performance.now() + START_TIMEOUT_MILLISECONDS
  while (!(await takesConnections(program.listensOn === 'port' ? { port } : { path: socketPath }))) {
    if (child.exitCode === null && performance.now() < deadline) {
      await sleep(20)
      continue
    }
    await stop()
    throw new Error(`the proxy does not start: ${output.slice(-2000)}`)
  }
  if (program.listensOn === 'port') return { url: `http://127.0.0.1:${port}`, stop }
  return { url: 'http://api.example.com', socketPath, stop }
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function takesConnections(address: { port: number } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Changes each of the texts, every one of which must be there. */
export function replaceAll(text: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`the configuration has not: ${from}`)
    return changed.replaceAll(from, to)
  }, text)
}

/** What reached the API behind the proxy. */
export type Received = { method: string; url: string; headers: IncomingHttpHeaders; body: string }

/** An API that knows nothing of tokens: it answers with what it has received, and remembers it. */
export async function startApi(): Promise<{ url: string; received: Received[]; stop(): void }> {
  const received: Received[] = []
  const api = createServer(async (req, res) => {
    const body = Buffer.concat(await req.toArray()).toString()
    received.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers, body })
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(received.at(-1)))
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
    received,
    stop: () => {
      api.close()
      api.closeAllConnections()
    },
  }
}

/** What the API was told of the caller, and whatever looks like it. */
export function identityOf({ body }: Answer): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body.headers).filter(([name]) => /auth/i.test(name)))
}
