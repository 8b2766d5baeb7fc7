import { setTimeout as sleep } from 'node:timers/promises'
import { type Node, type Nodes, signWithKeyFile } from './nodes.ts'
import { type Answer, must } from './server.ts'

/** What a steady load of tokens and introspections met. */
export type Ledger = {
  requests: number
  /** Tokens that were answered, with the assertions that bought them. */
  acknowledged: { assertion: string; token: string }[]
  /** Assertions whose answer never came, or was 503. */
  undecided: string[]
  /** Answers 503 with Retry-After. */
  unavailable: number
  /** Connections that were refused or broke. */
  broken: number
  /** Whatever else was answered: a 500, a 503 without Retry-After, `active: false`. Must stay empty. */
  wrong: string[]
  /** The longest that anybody waited for an answer, in milliseconds. */
  longest: number
  /** When the last token was answered (`performance.now()`). */
  lastTokenAt: number
}

export type SteadyLoad = {
  ledger: Ledger
  /** Resolves when the next token has been answered: the service is back. Answers how long that took, in milliseconds. */
  nextToken(): Promise<number>
  stop(): Promise<Ledger>
}

/** What the faults left behind; of a server that keeps its promises the last two are 0. */
export type Losses = { tokens: number; lost: number; acceptedTwice: number }

export type Customer = { keyFile: Record<string, string>; authorization: string }

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const PAUSE_MILLISECONDS = 15
const PATIENCE_MILLISECONDS = 60_000
/** Looks at what the faults left behind, at a time. */
const LOOKING = 8

/** An account with a key, and a resource server that may introspect its tokens. */
export async function createCustomer(cluster: Nodes): Promise<Customer> {
  const node = cluster.nodes[0] as Node
  const organization = await must(cluster.api(node, 'POST', '/organizations', { slug: 'acme', name: 'Acme' }))
  const server = await must(
    cluster.api(node, 'POST', '/resource-servers', {
      identifier: 'https://api.example.test',
      name: 'API',
      permissions: [{ name: 'read', description: 'Read' }],
    }),
  )
  const { client_secret } = await must(
    cluster.api(node, 'POST', `/resource-servers/${server.id}/secrets`, { name: 'test' }),
  )
  const account = await must(
    cluster.api(node, 'POST', `/organizations/${organization.id}/service-accounts`, {
      name: 'Sync',
      permissions: [{ resource_server_id: server.id, permission: 'read' }],
      initial_key: { type: 'rsa', name: 'first' },
    }),
  )
  const basic = Buffer.from(`${server.id}:${client_secret}`).toString('base64')
  return { keyFile: account.initial_key.key_file, authorization: `Basic ${basic}` }
}

/** Asks for tokens and introspects tokens answered before, by `workers` callers in turn, until it is stopped. */
export function startLoad(cluster: Nodes, customer: Customer, workers = 4): SteadyLoad {
  const ledger: Ledger = {
    requests: 0,
    acknowledged: [],
    undecided: [],
    unavailable: 0,
    broken: 0,
    wrong: [],
    longest: 0,
    lastTokenAt: 0,
  }
  let isOver = false
  const send = async (path: string, form: Record<string, string>, authorization?: string) => {
    const node = cluster.nodes[ledger.requests++ % cluster.nodes.length] as Node
    const sentAt = performance.now()
    try {
      return judge(await node.post(path, form, authorization === undefined ? {} : { authorization }))
    } catch {
      ledger.broken++
      return undefined
    } finally {
      ledger.longest = Math.max(ledger.longest, performance.now() - sentAt)
    }
  }
  const judge = (answer: Answer): Answer | undefined => {
    if (answer.status === 200) return answer
    if (answer.status === 503 && Number(answer.headers.get('retry-after')) >= 1) ledger.unavailable++
    else ledger.wrong.push(`${answer.status} ${answer.text}`)
    return undefined
  }
  const askForToken = async () => {
    const assertion = await signWithKeyFile(customer.keyFile)
    const answer = await send('/oauth/token', { grant_type: JWT_BEARER, assertion })
    if (answer === undefined) return void ledger.undecided.push(assertion)
    ledger.acknowledged.push({ assertion, token: answer.body.access_token })
    ledger.lastTokenAt = performance.now()
  }
  const introspect = async () => {
    const known = ledger.acknowledged[Math.floor(Math.random() * ledger.acknowledged.length)]
    if (known === undefined) return
    const answer = await send('/oauth/introspect', { token: known.token }, customer.authorization)
    if (answer?.body.active === false) ledger.wrong.push('an acknowledged token was said to be inactive')
  }
  const work = async () => {
    while (!isOver) {
      await askForToken()
      await introspect()
      await sleep(PAUSE_MILLISECONDS)
    }
  }
  const working = Array.from({ length: workers }, work)
  return {
    ledger,
    async nextToken() {
      const startedAt = performance.now()
      while (ledger.lastTokenAt < startedAt) {
        if (performance.now() > startedAt + PATIENCE_MILLISECONDS)
          throw new Error(
            `no token any more\n${ledger.wrong.slice(-5).join('\n')}\n${cluster.output().slice(-2000)}`,
          )
        await sleep(10)
      }
      return Math.round(ledger.lastTokenAt - startedAt)
    },
    async stop() {
      isOver = true
      await Promise.all(working)
      return ledger
    },
  }
}

/**
 * Looks for what must not be: a token that was answered and is not active, an assertion that is accepted again. An
 * assertion without an answer may have been accepted or not, and is tried twice: once at most it may succeed.
 */
export async function countLosses(cluster: Nodes, customer: Customer, ledger: Ledger): Promise<Losses> {
  const node = cluster.nodes[0] as Node
  let asked = 0
  // From many addresses: one that is refused so often would be answered late.
  const isAccepted = async (assertion: string) => {
    const from = { 'x-forwarded-for': `10.0.${(asked >> 8) & 255}.${asked++ & 255}` }
    const answer = await node.post('/oauth/token', { grant_type: JWT_BEARER, assertion }, from)
    if (answer.status !== 200 && answer.body.error !== 'invalid_grant') throw new Error(answer.text)
    return answer.status === 200
  }
  const losses: Losses = { tokens: ledger.acknowledged.length, lost: 0, acceptedTwice: 0 }
  await eachOf(ledger.acknowledged, async ({ assertion, token }) => {
    const answer = await node.post('/oauth/introspect', { token }, { authorization: customer.authorization })
    if (answer.body.active !== true) losses.lost++
    if (await isAccepted(assertion)) losses.acceptedTwice++
  })
  await eachOf(ledger.undecided, async (assertion) => {
    const first = await isAccepted(assertion)
    if (first && (await isAccepted(assertion))) losses.acceptedTwice++
  })
  return losses
}

/** A few at a time: every refusal waits for its time (http/refusal-floor.ts). */
async function eachOf<Each>(all: readonly Each[], look: (each: Each) => Promise<void>): Promise<void> {
  const left = all.values()
  await Promise.all(
    Array.from({ length: LOOKING }, async () => {
      for (const each of left) await look(each)
    }),
  )
}
