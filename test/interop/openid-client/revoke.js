// Ends an access token that is no longer needed, as the account that it was issued to, with openid-client (RFC 7009).
//
//   ACCESS_TOKEN=… node revoke.js key-file.json
import { readFileSync } from 'node:fs'
import { importPKCS8 } from 'jose'
import * as client from 'openid-client'

const keyFile = JSON.parse(readFileSync(process.argv[2], 'utf8'))

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

await client.tokenRevocation(config, process.env.ACCESS_TOKEN)
