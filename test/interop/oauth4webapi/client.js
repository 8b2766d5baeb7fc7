// Gets an access token with oauth4webapi by the JWT bearer grant (RFC 7523), and calls an API with it.
//
//   node client.js key-file.json 'read write' https://api.example.com/
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { importPKCS8, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'

const [keyFilePath, scope, api] = process.argv.slice(2)
const keyFile = JSON.parse(readFileSync(keyFilePath, 'utf8'))
const issuer = new URL(keyFile.issuer)
// Only while you try things out: an issuer on your own machine without TLS.
const options = { [oauth.allowInsecureRequests]: issuer.protocol === 'http:' }

const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
)

const assertion = await new SignJWT()
  .setProtectedHeader({ alg: 'RS256', kid: keyFile.private_key_id })
  .setIssuer(keyFile.client_id)
  .setSubject(keyFile.client_id)
  .setAudience(server.issuer)
  .setJti(randomUUID())
  .setIssuedAt()
  .setExpirationTime('1 minute')
  .sign(await importPKCS8(keyFile.private_key, 'RS256'))

const client = { client_id: keyFile.client_id }
const { access_token: token } = await oauth.processGenericTokenEndpointResponse(
  server,
  client,
  await oauth.genericTokenEndpointRequest(
    server,
    client,
    oauth.None(), // the assertion is the proof: this grant needs no client authentication
    'urn:ietf:params:oauth:grant-type:jwt-bearer',
    { assertion, scope },
    options,
  ),
)

const answer = await oauth.protectedResourceRequest(token, 'GET', new URL(api), undefined, null, options)
console.log(await answer.text())
