// Calls an API for a key file with google-auth-library, Google's client for Node.js.
//
//   node client.js key-file.json 'read write' https://api.example.com/
import { readFileSync } from 'node:fs'
import { JWT } from 'google-auth-library'

const [keyFilePath, scope, api] = process.argv.slice(2)
const keyFile = JSON.parse(readFileSync(keyFilePath, 'utf8'))

const client = new JWT({
  email: keyFile.client_email,
  key: keyFile.private_key,
  keyId: keyFile.private_key_id,
  scopes: scope.split(' '),
  // Without this line the assertion is made out to Google, and refused.
  additionalClaims: { aud: keyFile.token_uri },
})

// The library always asks Google's token endpoint and ignores token_uri: lead that one request to ours.
client.transporter.interceptors.request.add({
  resolved: async (request) => {
    if (request.url.hostname === 'oauth2.googleapis.com') request.url = new URL(keyFile.token_uri)
    return request
  },
})

// Gets a token, keeps it while it holds, and sends it.
const { data } = await client.request({ url: api })
console.log(JSON.stringify(data))
