import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect as openSocket, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestDatabase } from './database.ts'

/** The way to a database, which a test can cut: as a pulled cable does it, at any moment. */
export type DatabaseLink = {
  /** Reaches the database as long as the link is whole. */
  address: TestDatabase['address']
  /** Ends all connections at once, and lets no new one through. */
  cut(): Promise<void>
  restore(): Promise<void>
  close(): Promise<void>
}

/** Opens a link to the database on a Unix socket of its own. */
export async function openDatabaseLink(address: TestDatabase['address']): Promise<DatabaseLink> {
  const host = await mkdtemp(join(tmpdir(), 'countersign-link-'))
  const path = join(host, `.s.PGSQL.${address.port}`)
  const target = join(address.host, `.s.PGSQL.${address.port}`)
  const sockets = new Set<Socket>()
  let listener: Server | undefined

  const cut = async () => {
    const closed = new Promise((resolve) => listener?.close(resolve) ?? resolve(undefined))
    listener = undefined
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const restore = () =>
    new Promise<void>((resolve, reject) => {
      listener = createServer((near) => connectEnds(near, openSocket(target), sockets))
      listener.once('error', reject)
      listener.listen(path, resolve)
    })
  await restore()
  return {
    address: { ...address, host },
    cut,
    restore,
    async close() {
      await cut()
      await rm(host, { recursive: true, force: true })
    },
  }
}

/** Passes everything on both ways; when one end goes, so does the other. */
function connectEnds(near: Socket, far: Socket, sockets: Set<Socket>): void {
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ] as const) {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      sockets.delete(socket)
      other.destroy()
    })
    socket.pipe(other)
  }
}
