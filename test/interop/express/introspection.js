// An API that asks about every token (RFC 7662), with Express and openid-client.
//
//   ISSUER=… CLIENT_ID=rs_… CLIENT_SECRET=css_… node introspection.js
import express from 'express'
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env

const config = await client.discovery(
  new URL(ISSUER),
  CLIENT_ID,
  undefined,
  client.ClientSecretBasic(CLIENT_SECRET),
  {
    algorithm: 'oauth2',
    // Only while you try things out: an issuer on your own machine without TLS.
    execute: ISSUER.startsWith('http://') ? [client.allowInsecureRequests] : [],
  },
)

/** Lets a request on if its token holds now and has the permission (RFC 6750 §3). Keeps no answer. */
function requirePermission(permission) {
  return async (req, res, next) => {
    const [scheme, presented] = (req.get('authorization') ?? '').split(' ')
    if (scheme.toLowerCase() !== 'bearer' || !presented) return refuse(res, 401, 'Bearer realm="invoices"')
    const token = await client.tokenIntrospection(config, presented)
    // A token that is bound to a key or a certificate needs a proof, which this API does not check.
    if (!token.active || token.cnf) return refuse(res, 401, 'Bearer realm="invoices", error="invalid_token"')
    if (!token.scope.split(' ').includes(permission))
      return refuse(res, 403, `Bearer realm="invoices", error="insufficient_scope", scope="${permission}"`)
    req.token = token
    next()
  }
}

function refuse(res, status, challenge) {
  res.status(status).set('WWW-Authenticate', challenge).end()
}

const api = express()
api.get('/invoices', requirePermission('invoices:read'), (req, res) => {
  res.json({ caller: req.token.sub, permissions: req.token.scope.split(' ') })
})
api.post('/invoices', requirePermission('invoices:write'), (_req, res) => {
  res.status(201).end()
})
// The server cannot be asked, or refuses the secret: nobody is let in.
api.use((error, _req, res, _next) => {
  console.error(error.message)
  res.status(503).set('Retry-After', '2').end()
})

const server = api.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/invoices`)
})
