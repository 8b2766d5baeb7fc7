// Gets an access token that is bound to a key of this process with openid-client (DPoP, RFC 9449), and calls an API
// with it.
//
//   node dpop.js key-file.json 'read write' https://api.example.com/
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

// Made at start, kept in memory, never exported: a token that is stolen is of no use without it. The library
// remembers the nonces of each server, and asks again with the one that it is given.
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))

const { access_token: token } = await client.clientCredentialsGrant(config, { scope }, { DPoP })
const answer = await client.fetchProtectedResource(config, token, new URL(api), 'GET', null, undefined, {
  DPoP,
})
console.log(await answer.text())
