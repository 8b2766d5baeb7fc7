import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { compactVerify, importJWK, SignJWT } from 'jose'

/**
 * The limit: what any server of this kind must do in Node.js, and nothing else. Parses the form, verifies the assertion, signs an
 * access token; or, asked to introspect, parses the form and says a fixed answer. Nothing is checked, nothing is stored. One argument
 * of JSON.
 */
const { port, issuer, clients, signingJwk } = JSON.parse(process.argv[2] ?? '{}')
const INTROSPECTION = {
  active: true,
  iss: issuer,
  sub: clients[0].id,
  scope: 'bench:read',
  token_type: 'Bearer',
}
const publicKey = await importJWK(clients[0].publicJwk, 'RS256')
const signingKey = await importJWK(signingJwk, 'ES256')

createServer(async (req, res) => {
  if (req.method !== 'POST') return res.end('ready')
  const form = new URLSearchParams((await readBody(req)).toString())
  if (form.has('token')) return send(res, INTROSPECTION)
  const { payload } = await compactVerify(form.get('assertion') ?? '', publicKey, { algorithms: ['RS256'] })
  const { iss } = JSON.parse(Buffer.from(payload).toString())
  const iat = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    sub: iss,
    client_id: iss,
    aud: 'https://bench.example/jwt',
    iat,
    exp: iat + 900,
  }
  const token = await new SignJWT({ ...claims, jti: crypto.randomUUID(), scope: 'bench:read' })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'limit' })
    .sign(signingKey)
  send(res, { access_token: token, token_type: 'Bearer', expires_in: 900, scope: 'bench:read' })
}).listen(port, '127.0.0.1')

function send(res: ServerResponse, answer: object): void {
  const body = JSON.stringify(answer)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
  res.writeHead(200, headers).end(body)
}

function readBody(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk) => chunks.push(chunk))
    req.on('end', () => resolve(Buffer.concat(chunks)))
    req.on('error', reject)
  })
}
