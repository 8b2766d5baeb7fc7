import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Fixture } from '../support/server.ts'

/** An API that client programs call; what it answers tells whose token it was. */
export type SampleApi = { url: string; close(): Promise<void> }

/** Asks about every token that it gets, and wants the permission `read`. */
export async function startSampleApi(fixture: Fixture): Promise<SampleApi> {
  const server = createServer(async (req, res) => {
    const refuse = (status: number, challenge: string) =>
      res.writeHead(status, { 'WWW-Authenticate': challenge }).end()
    const token = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '')?.[1]
    if (token === undefined) return refuse(401, 'Bearer')
    const { body } = await fixture.introspect(token)
    if (!body.active) return refuse(401, 'Bearer error="invalid_token"')
    const permissions = body.scope.split(' ')
    if (!permissions.includes('read')) return refuse(403, 'Bearer error="insufficient_scope", scope="read"')
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify({ caller: body.client_id, key: body.key_id, permissions }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
