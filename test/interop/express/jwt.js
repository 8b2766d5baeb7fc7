// An API that checks JWT access tokens by itself, with Express and express-oauth2-jwt-bearer.
//
//   ISSUER=… AUDIENCE=… node jwt.js
//
// It never asks the server about a token: one that was revoked is good here until it expires.
import express from 'express'
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer'

const api = express()

api.use(
  auth({
    issuerBaseURL: process.env.ISSUER,
    audience: process.env.AUDIENCE,
    strict: true, // access tokens (typ at+jwt) and nothing else that is signed with the same keys
    tokenSigningAlg: 'ES256', // the signing_algorithm of the resource server
    // The library checks DPoP proofs by itself. Client certificates this API does not see.
    validators: { cnf: (cnf) => cnf?.['x5t#S256'] === undefined },
  }),
)
api.get('/invoices', requiredScopes('invoices:read'), (req, res) => {
  res.json({ caller: req.auth.payload.sub, permissions: req.auth.payload.scope.split(' ') })
})
api.post('/invoices', requiredScopes('invoices:write'), (_req, res) => {
  res.status(201).end()
})
// Answers 401 and 403 with the challenge that the errors bring along.
api.use((error, _req, res, _next) => {
  res.status(error.status ?? 500).set(error.headers ?? {})
  res.json({ error: error.code ?? 'server_error' })
})

const server = api.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/invoices`)
})
