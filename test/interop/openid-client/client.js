// Gets an access token with openid-client: discovery, then client_credentials with a signed assertion
// (private_key_jwt, RFC 7523 §2.2); and calls an API with it.
//
//   node client.js key-file.json 'read write' https://api.example.com/
import { readFileSync } from 'node:fs'
import { importPKCS8 } from 'jose'
import * as client from 'openid-client'

const [keyFilePath, scope, api] = process.argv.slice(2)
const keyFile = JSON.parse(readFileSync(keyFilePath, 'utf8'))

const config = await client.discovery(
  new URL(keyFile.issuer),
  keyFile.client_id,
  undefined,
  client.PrivateKeyJwt({
    key: await importPKCS8(keyFile.private_key, 'RS256'),
    kid: keyFile.private_key_id,
  }),
  {
    algorithm: 'oauth2',
    // Only while you try things out: an issuer on your own machine without TLS.
    execute: keyFile.issuer.startsWith('http://') ? [client.allowInsecureRequests] : [],
  },
)

const { access_token: token } = await client.clientCredentialsGrant(config, { scope })
const answer = await client.fetchProtectedResource(config, token, new URL(api), 'GET')
console.log(await answer.text())
