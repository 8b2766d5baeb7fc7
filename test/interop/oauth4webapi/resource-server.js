// An API that accepts JWT access tokens and checks them by itself, with oauth4webapi (RFC 9068).
//
//   ISSUER=… AUDIENCE=… node resource-server.js
//
// It never asks the server about a token, so a token that was revoked is good here until it expires. Introspect
// the token (see the openid-client example) where that is too long.
import { createServer } from 'node:http'
import * as oauth from 'oauth4webapi'

const issuer = new URL(process.env.ISSUER)
const audience = process.env.AUDIENCE
// Only while you try things out: an issuer on your own machine without TLS.
const options = { [oauth.allowInsecureRequests]: issuer.protocol === 'http:' }

const authorizationServer = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
)

const api = createServer(async (req, res) => {
  const request = new Request(new URL(req.url, 'http://localhost'), { headers: req.headers })
  try {
    const claims = await oauth.validateJwtAccessToken(authorizationServer, request, audience, options)
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify({ caller: claims.sub, permissions: claims.scope.split(' ') }))
  } catch {
    res.writeHead(401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end()
  }
})
api.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${api.address().port}/`)
})
