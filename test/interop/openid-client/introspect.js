// Asks whether an access token holds, as the API that received it, with openid-client (RFC 7662).
//
//   ISSUER=… CLIENT_ID=rs_… CLIENT_SECRET=css_… ACCESS_TOKEN=… node introspect.js
import * as client from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, ACCESS_TOKEN } = process.env

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

// Ask for every request that you receive and keep no answer: a revoked token ends at once.
const token = await client.tokenIntrospection(config, ACCESS_TOKEN)
console.log(JSON.stringify(token))
