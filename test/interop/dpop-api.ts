import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oauth from 'oauth4webapi'

/** An API that takes bound tokens, and checks proofs with oauth4webapi: somebody else's reading of RFC 9449. */
export type ProofCheckingApi = { url: string; close(): Promise<void> }

export async function startProofCheckingApi(
  authorizationServer: oauth.AuthorizationServer,
  audience: string,
): Promise<ProofCheckingApi> {
  const server = createServer(async (req, res) => {
    try {
      const headers = req.headers as Record<string, string>
      const request = new Request(new URL(req.url ?? '/', origin), { method: req.method ?? 'GET', headers })
      const claims = await oauth.validateJwtAccessToken(authorizationServer, request, audience, {
        requireDPoP: true,
        [oauth.allowInsecureRequests]: true,
      })
      res.writeHead(200, { 'Content-Type': 'application/json' })
      res.end(JSON.stringify({ caller: claims.sub, cnf: claims.cnf }))
    } catch {
      res.writeHead(401, { 'WWW-Authenticate': 'DPoP error="invalid_token", algs="ES256"' }).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `${origin}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
