// Gets an access token with openid-client: discovery, then the JWT bearer grant (RFC 7523).
//
//   node client.js key-file.json 'read write'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { importPKCS8, SignJWT } from 'jose'
import * as client from 'openid-client'

const [keyFilePath, scope] = process.argv.slice(2)
const keyFile = JSON.parse(readFileSync(keyFilePath, 'utf8'))

const config = await client.discovery(
  new URL(keyFile.issuer),
  keyFile.client_id,
  undefined,
  client.None(), // the assertion is the proof: this grant needs no client authentication
  {
    algorithm: 'oauth2',
    // Only while you try things out: an issuer on your own machine without TLS.
    execute: keyFile.issuer.startsWith('http://') ? [client.allowInsecureRequests] : [],
  },
)

const assertion = await new SignJWT()
  .setProtectedHeader({ alg: 'RS256', kid: keyFile.private_key_id })
  .setIssuer(keyFile.client_id)
  .setSubject(keyFile.client_id)
  .setAudience(config.serverMetadata().issuer)
  .setJti(randomUUID())
  .setIssuedAt()
  .setExpirationTime('1 minute')
  .sign(await importPKCS8(keyFile.private_key, 'RS256'))

const tokens = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:jwt-bearer', {
  assertion,
  scope,
})
console.log(tokens.access_token)
