import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type AssertionSource, prepareAssertions } from './assertions.ts'
import { type ServerProcess, startProcess } from './processes.ts'

export type TokenKind = 'jwt' | 'opaque' | 'rs256'

/** A service account that may have tokens of one kind. */
export type Subject = {
  source: AssertionSource
  publicJwk: object
  resource: string
  apiToken: string
  /** Of its keys in the management API. */
  keysPath: string
}

/** A Countersign with embedded PostgreSQL, as `npm start` runs it, and what is measured on it. */
export type Countersign = ServerProcess & {
  port: number
  issuer: string
  postmasterPid: number
  /** Of its database, for the fillers: folder of the socket. */
  dataDir: string
  subjects: Record<TokenKind, Subject>
  /** `Authorization` of the resource server of each kind. */
  introspectors: Record<TokenKind, string>
  api(method: string, path: string, body?: unknown): Promise<Answer>
}

/** What the management API answered: read by whoever knows what was asked. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the answer's own
type Answer = Record<string, any>

/** Those of `npm start`. */
const NODE_FLAGS = ['--max-semi-space-size=64']
const MAIN = join(import.meta.dirname, '../src/main.ts')
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** What the tokens of the benchmark are for. */
export const SCOPE = 'bench:read'
/** After that the management API is called with a new token: half of its life at the least. */
const TOKEN_MILLISECONDS = 120_000

/** Starts the server in a folder of its own and sets it up over its own management API. */
export async function startCountersign(
  folder: string,
  port: number,
  profileFolder: string | undefined,
  settings: Record<string, string> = {},
): Promise<Countersign> {
  const issuer = `http://localhost:${port}`
  const dataDir = join(folder, 'data')
  const server = await startProcess([...profiling(profileFolder), ...NODE_FLAGS, MAIN, 'serve'], {
    cwd: folder,
    env: { COUNTERSIGN_PORT: String(port), COUNTERSIGN_DATA_DIR: dataDir, ...settings },
    url: `${issuer}/health/ready`,
    log: join(folder, 'countersign.log'),
  })
  const api = await createApi(issuer, join(folder, 'keys/operator.json'))
  const organization = await api('POST', '/organizations', { slug: 'bench', name: 'Bench' })
  const subjects = {} as Record<TokenKind, Subject>
  const introspectors = {} as Record<TokenKind, string>
  for (const kind of ['jwt', 'opaque', 'rs256'] as const) {
    const resource = `https://bench.example/${kind}`
    const resourceServer = await api('POST', '/resource-servers', {
      identifier: resource,
      name: kind,
      permissions: [{ name: SCOPE, description: 'Read' }],
      token_format: kind === 'opaque' ? 'opaque' : 'jwt',
      ...(kind === 'rs256' && { signing_algorithm: 'RS256' }),
    })
    const secret = await api('POST', `/resource-servers/${resourceServer.id}/secrets`, { name: 'bench' })
    const credentials = Buffer.from(`${resourceServer.id}:${secret.client_secret}`).toString('base64')
    introspectors[kind] = `Basic ${credentials}`
    const account = await api('POST', `/organizations/${organization.id}/service-accounts`, {
      name: `bench ${kind}`,
      permissions: [{ resource_server_id: resourceServer.id, permission: SCOPE }],
    })
    const keys = `/organizations/${organization.id}/service-accounts/${account.id}/keys`
    const key = createKey()
    const registered = await api('POST', keys, { type: 'public_key', public_key: key.publicKey })
    const token = await api('POST', keys, { type: 'api_token' })
    subjects[kind] = {
      source: {
        privateKey: key.privateKey,
        keyId: registered.key.id,
        accountId: account.id,
        issuer,
      },
      publicJwk: createPublicKey(key.publicKey).export({ format: 'jwk' }),
      resource,
      apiToken: token.api_token,
      keysPath: keys,
    }
  }
  const postmasterPid = Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0])
  return { ...server, port, issuer, postmasterPid, dataDir, subjects, introspectors, api }
}

/** Gives an account one more key, ES256, for a load generator that has to sign as it goes. */
export async function addFastKey(
  { api }: Countersign,
  { source, keysPath }: Subject,
): Promise<AssertionSource> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const { key } = await api('POST', keysPath, { type: 'public_key', public_key: publicKey })
  return { ...source, privateKey, keyId: key.id, algorithm: 'ES256' }
}

function profiling(folder: string | undefined): string[] {
  return folder === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', resolve(folder)]
}

async function createApi(issuer: string, keyFilePath: string): Promise<Countersign['api']> {
  const file = JSON.parse(await readFile(keyFilePath, 'utf8'))
  const source = {
    privateKey: file.private_key,
    keyId: file.private_key_id,
    accountId: file.client_id,
    issuer,
  }
  let token = ''
  let renewAt = 0
  return async (method, path, body) => {
    if (performance.now() >= renewAt) {
      token = await signIn()
      renewAt = performance.now() + TOKEN_MILLISECONDS
    }
    return answerOf(
      await fetch(`${issuer}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    )
  }

  async function signIn(): Promise<string> {
    const [assertion = ''] = await prepareAssertions(source, 1)
    const form = new URLSearchParams({ grant_type: JWT_BEARER, assertion })
    return (await answerOf(await fetch(`${issuer}/oauth/token`, { method: 'POST', body: form }))).access_token
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  if (!response.ok) throw new Failure(`${response.url} answers ${response.status}: ${text}`, response.status)
  return text === '' ? {} : JSON.parse(text)
}

/** An answer other than 2xx. */
export class Failure extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** An RSA pair for assertions. */
export function createKey() {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
}
