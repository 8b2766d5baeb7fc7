import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { importPKCS8 } from 'jose'
import pg from 'pg'
import { COMPILE_CACHE, findFreePort, MAIN, urlOf } from './command.ts'
import { createTestDatabase } from './database.ts'
import { signCompact } from './jwt.ts'
import { type Answer, toAnswer } from './server.ts'

/** Real server processes that share one database and one key-encryption key, as in production. */
export type Nodes = {
  issuer: string
  nodes: readonly Node[]
  /** Everything that the nodes have printed. */
  output(): string
  /** What the nodes are configured with, for commands beside them. Their keys are in the folder that it names. */
  environment: Record<string, string>
  /** Changes their database behind their back. */
  query(text: string): Promise<void>
  /** The operator gets a new token for the next call: the one before is not good any more, or not good enough. */
  forgetToken(): void
  /** A management call as the operator, through the given node. */
  api(node: Node, method: string, path: string, body?: unknown): Promise<Answer>
  /** One more node, of this release. */
  add(): Promise<void>
  close(): Promise<void>
}

export type Node = {
  url: string
  /** Of the process that runs, or ran last. */
  pid(): number
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  /** `kill -9`: nothing is drained, nothing is flushed. */
  kill(): Promise<void>
  /** As a deployment does: what is under way is answered. */
  stop(): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
}

const ISSUER = 'https://id.example.test'
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const START_MILLISECONDS = 30_000

/**
 * Starts `count` nodes one after the other; the first makes the installation. `place` are the settings that say where
 * their database is, when it is not to be one of the cluster that all tests share; `entry` is what they run, when it
 * is not this release.
 */
export async function startNodes(
  count: number,
  place?: Record<string, string>,
  entry = MAIN,
): Promise<Nodes> {
  const database = place === undefined ? await createTestDatabase({ empty: entry !== MAIN }) : undefined
  const folder = await mkdtemp(join(tmpdir(), 'countersign-nodes-'))
  const output: string[] = []
  const environment = {
    PATH: process.env.PATH ?? '',
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    ...(database !== undefined && { DATABASE_URL: urlOf(database) }),
    COUNTERSIGN_MIGRATE: 'true',
    ...place,
    // So that tests can be many callers.
    COUNTERSIGN_TRUSTED_PROXIES: '127.0.0.1',
    COUNTERSIGN_ISSUER: ISSUER,
    COUNTERSIGN_KEYS_DIR: join(folder, 'keys'),
  }
  const nodes: Node[] = []
  const add = async (program: string) => {
    const settings = {
      ...environment,
      // One process each, so that to kill a node is to kill it whole. The release before knows no workers.
      ...(program === MAIN && { COUNTERSIGN_WORKERS: place?.COUNTERSIGN_WORKERS ?? '1' }),
      COUNTERSIGN_PORT: String(await findFreePort()),
    }
    const node = createNode(program, settings, folder, output)
    await node.start()
    nodes.push(node)
  }
  for (let index = 0; index < count; index++) await add(entry)
  const keyFile = JSON.parse(await readFile(join(folder, 'keys/operator.json'), 'utf8'))
  let operatorToken: string | undefined

  return {
    issuer: ISSUER,
    nodes,
    output: () => output.join(''),
    environment,
    async query(text) {
      if (database === undefined) throw new Error('whoever chose the database asks it')
      const client = new pg.Client(database.address)
      await client.connect()
      await client.query(text)
      await client.end()
    },
    forgetToken() {
      operatorToken = undefined
    },
    async api(node, method, path, body) {
      operatorToken ??= await getToken(node, keyFile)
      return toAnswer(
        await fetch(`${node.url}/api/v1${path}`, {
          method,
          headers: { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      )
    },
    add: () => add(MAIN),
    async close() {
      await Promise.all(nodes.map((node) => node.kill()))
      await database?.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Signs an assertion with a key file, as its holder would. */
export async function signWithKeyFile(
  keyFile: Record<string, string>,
  changes: Record<string, unknown> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const key = await importPKCS8(keyFile.private_key ?? '', 'RS256')
  const claims = {
    iss: keyFile.client_id,
    sub: keyFile.client_id,
    aud: ISSUER,
    iat: now,
    exp: now + 300,
    jti: crypto.randomUUID(),
  }
  return signCompact({ alg: 'RS256', kid: keyFile.private_key_id }, { ...claims, ...changes }, key)
}

async function getToken(node: Node, keyFile: Record<string, string>): Promise<string> {
  const answer = await node.post('/oauth/token', {
    grant_type: JWT_BEARER,
    assertion: await signWithKeyFile(keyFile),
  })
  if (answer.status !== 200) throw new Error(`no operator token: ${answer.status} ${answer.text}`)
  return answer.body.access_token
}

function createNode(
  entry: string,
  environment: Record<string, string | undefined>,
  folder: string,
  output: string[],
): Node {
  const url = `http://127.0.0.1:${environment.COUNTERSIGN_PORT}`
  let child: ChildProcess | undefined
  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }
  return {
    url,
    pid: () => child?.pid ?? 0,
    async post(path, form, headers = {}) {
      return toAnswer(
        await fetch(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: new URLSearchParams(form).toString(),
        }),
      )
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      const started = spawn(process.execPath, [entry, 'serve'], { cwd: folder, env: environment })
      child = started
      started.stdout.on('data', (chunk) => output.push(String(chunk)))
      started.stderr.on('data', (chunk) => output.push(String(chunk)))
      const giveUpAt = Date.now() + START_MILLISECONDS
      while (!(await isReady(url))) {
        if (started.exitCode !== null || Date.now() > giveUpAt) {
          await end('SIGKILL')
          throw new Error(`a node did not start:\n${output.join('')}`)
        }
        await sleep(50)
      }
    },
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`)).status === 200
  } catch {
    return false
  }
}
