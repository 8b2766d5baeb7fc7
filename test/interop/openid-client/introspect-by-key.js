// Asks whether an access token holds, as the API that received it, with openid-client: no secret, but a signed
// assertion by a key whose public half is registered for the API (private_key_jwt, RFC 7523 §2.2).
//
//   ISSUER=… CLIENT_ID=rs_… KEY_ID=key_… PRIVATE_KEY_FILE=key.pem ACCESS_TOKEN=… node introspect-by-key.js
import { readFileSync } from 'node:fs'
import { importPKCS8 } from 'jose'
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, KEY_ID, PRIVATE_KEY_FILE, ACCESS_TOKEN } = process.env

const config = await client.discovery(
  new URL(ISSUER),
  CLIENT_ID,
  undefined,
  client.PrivateKeyJwt({
    key: await importPKCS8(readFileSync(PRIVATE_KEY_FILE, 'utf8'), 'ES256'),
    kid: KEY_ID,
  }),
  {
    algorithm: 'oauth2',
    // Only while you try things out: an issuer on your own machine without TLS.
    execute: ISSUER.startsWith('http://') ? [client.allowInsecureRequests] : [],
  },
)

const token = await client.tokenIntrospection(config, ACCESS_TOKEN)
console.log(JSON.stringify(token))
