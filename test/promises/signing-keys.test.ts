import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { eventually } from '../support/eventually.ts'
import { decode } from '../support/jwt.ts'
import { type Node, type Nodes, signWithKeyFile, startNodes } from '../support/nodes.ts'
import { must } from '../support/server.ts'

jest.setTimeout(90_000)

/** A resource server for each algorithm, and an account that gets tokens for it. */
type Customer = {
  algorithm: string
  identifier: string
  authorization: string
  ask(node: Node): Promise<string>
}

/** Checks tokens offline, with the keys of one node and jose's usual caching, as resource servers do. */
type Verifier = (token: string, customer: Customer) => Promise<JWTPayload>

let cluster: Nodes
let nodes: readonly [Node, Node]
let customers: Customer[]
let verifiers: Verifier[]

beforeAll(async () => {
  cluster = await startNodes(2)
  nodes = cluster.nodes as [Node, Node]
  customers = []
  for (const algorithm of ['ES256', 'RS256', 'EdDSA']) customers.push(await createCustomer(algorithm))
  // Opaque, so that the operator of these tests goes on after a revocation.
  const { items } = await must(cluster.api(nodes[0], 'GET', '/resource-servers?limit=200'))
  const management = items.find((item: { built_in: boolean }) => item.built_in)
  await must(cluster.api(nodes[0], 'PATCH', `/resource-servers/${management.id}`, { token_format: 'opaque' }))
  cluster.forgetToken()
})
/** Each test begins with caches that are filled before the keys change, as an hour of publication makes them. */
beforeEach(() => {
  verifiers = nodes.map(createVerifier)
})
afterAll(() => cluster.close())

async function createCustomer(algorithm: string): Promise<Customer> {
  const identifier = `https://${algorithm.toLowerCase()}.example.test`
  const [first] = nodes
  const { id: organizationId } = await must(
    cluster.api(first, 'POST', '/organizations', { slug: algorithm.toLowerCase(), name: algorithm }),
  )
  const server = await must(
    cluster.api(first, 'POST', '/resource-servers', {
      identifier,
      name: algorithm,
      signing_algorithm: algorithm,
      permissions: [{ name: 'read', description: 'Read' }],
    }),
  )
  const { client_secret } = await must(
    cluster.api(first, 'POST', `/resource-servers/${server.id}/secrets`, { name: 'test' }),
  )
  const account = await must(
    cluster.api(first, 'POST', `/organizations/${organizationId}/service-accounts`, {
      name: algorithm,
      permissions: [{ resource_server_id: server.id, permission: 'read' }],
      initial_key: { type: 'rsa' },
    }),
  )
  return {
    algorithm,
    identifier,
    authorization: `Basic ${Buffer.from(`${server.id}:${client_secret}`).toString('base64')}`,
    async ask(node) {
      const { access_token } = await must(
        node.post('/oauth/token', {
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: await signWithKeyFile(account.initial_key.key_file),
        }),
      )
      return access_token
    },
  }
}

function createVerifier(node: Node): Verifier {
  const jwks = createRemoteJWKSet(new URL(`${node.url}/.well-known/jwks.json`))
  return async (token, { identifier, algorithm }) => {
    const options = { issuer: cluster.issuer, audience: identifier, algorithms: [algorithm], typ: 'at+jwt' }
    return (await jwtVerify(token, jwks, options)).payload
  }
}

async function isActive(node: Node, token: string, { authorization }: Customer): Promise<boolean> {
  return (await must(node.post('/oauth/introspect', { token }, { authorization }))).active
}

type SigningKey = { id: string; status: string; algorithm: string }
async function find(algorithm: string, status: string): Promise<SigningKey> {
  const { items } = await must(cluster.api(nodes[0], 'GET', '/signing-keys?limit=200'))
  return items.find((key: SigningKey) => key.algorithm === algorithm && key.status === status)
}
const kidOf = (token: string) => String(decode(token).header.kid)

/** As if the keys that stand ready had been published for two hours. */
const passPublication = () =>
  cluster.query(`update signing_keys set created_at = created_at - interval '2 hours' where status = 'next'`)

type State = { isRevoking: boolean; isAnswered: boolean; isOver: boolean }
type Seen = { token: string; customer: Customer; askedAfter: boolean }

/** Tokens from both nodes until `isOver`; each is verified with the keys of both, and introspected at both. */
function startLoad(state: State) {
  const seen: Seen[] = []
  const faults: unknown[] = []
  const loads = nodes.flatMap((node) =>
    customers.map(async (customer) => {
      while (!state.isOver) {
        try {
          const askedAfter = state.isAnswered
          const token = await customer.ask(node)
          const record = { token, customer, askedAfter }
          await check(record, state)
          seen.push(record)
        } catch (error) {
          faults.push(error)
        }
      }
    }),
  )
  return { seen, faults, ended: Promise.all(loads) }
}

/** A token that was got before a revocation may be good no more when it is looked at. */
async function check({ token, customer, askedAfter }: Seen, state: State): Promise<void> {
  if (state.isRevoking && !askedAfter) return
  for (const verify of verifiers) await verify(token, customer)
  for (const node of nodes) expect(await isActive(node, token, customer)).toBe(true)
}

test('during a rotation under load no verification of a fresh token fails anywhere', async () => {
  await passPublication()
  const before = await Promise.all(customers.map(({ algorithm }) => find(algorithm, 'active')))
  const state = { isRevoking: false, isAnswered: false, isOver: false }
  const load = startLoad(state)
  await eventually(() => expect(kindsOf(load.seen)).toHaveLength(3))
  await must(cluster.api(nodes[0], 'POST', '/signing-keys/rotate'))
  state.isAnswered = true
  await eventually(() =>
    expect(kindsOf(load.seen.filter((entry) => entry.askedAfter))).toHaveLength(3),
  ).finally(() => {
    state.isOver = true
  })
  await load.ended

  expect(load.faults).toEqual([])
  const former = new Set(before.map(({ id }) => id))
  expect(load.seen.filter(({ token, askedAfter }) => askedAfter && former.has(kidOf(token)))).toEqual([])
  for (const { token, customer } of load.seen) {
    for (const verify of verifiers) await verify(token, customer)
    for (const node of nodes) expect(await isActive(node, token, customer)).toBe(true)
  }
})

function kindsOf(seen: readonly Seen[]): string[] {
  return [...new Set(seen.map(({ customer }) => customer.algorithm))]
}

test('an emergency revocation is immediate on every node, and the next key takes over in the middle of a load', async () => {
  await passPublication()
  const [customer] = customers as [Customer]
  const leaked = await find('ES256', 'active')
  const next = await find('ES256', 'next')
  const state = { isRevoking: false, isAnswered: false, isOver: false }
  const load = startLoad(state)
  const own = () => load.seen.filter((entry) => entry.customer === customer)
  await eventually(() => expect(own().length).toBeGreaterThan(3))
  state.isRevoking = true
  await sleep(50)

  await must(cluster.api(nodes[0], 'POST', `/signing-keys/${leaked.id}/revoke`))
  const stale = own().filter(({ token }) => kidOf(token) === leaked.id)
  state.isAnswered = true
  expect(stale.length).toBeGreaterThan(0)
  for (const { token } of stale) {
    for (const node of nodes) expect(await isActive(node, token, customer)).toBe(false)
  }
  for (const node of nodes) {
    const { keys } = (await (await fetch(`${node.url}/.well-known/jwks.json`)).json()) as {
      keys: { kid: string }[]
    }
    expect(keys.map(({ kid }) => kid)).not.toContain(leaked.id)
    expect(keys.map(({ kid }) => kid)).toContain(next.id)
  }
  await eventually(() =>
    expect(own().filter((entry) => entry.askedAfter).length).toBeGreaterThan(10),
  ).finally(() => {
    state.isOver = true
  })
  await load.ended

  expect(load.faults).toEqual([])
  expect([...new Set(own().flatMap(({ token, askedAfter }) => (askedAfter ? [kidOf(token)] : [])))]).toEqual([
    next.id,
  ])
  for (const { token } of own()) {
    for (const node of nodes) {
      expect(await isActive(node, token, customer)).toBe(kidOf(token) === next.id)
    }
  }
})

test('a node issues and introspects with keys that it has not heard of', async () => {
  const [customer] = customers as [Customer]
  const [first, second] = nodes
  for (let round = 0; round < 3; round++) {
    // What took over was made a moment ago, at the other node.
    await must(cluster.api(first, 'POST', `/signing-keys/${(await find('ES256', 'active')).id}/revoke`))
    await must(cluster.api(first, 'POST', `/signing-keys/${(await find('ES256', 'active')).id}/revoke`))
    const { id } = await find('ES256', 'active')
    if (round % 2 === 0) {
      const token = await customer.ask(second)
      expect(kidOf(token)).toBe(id)
      expect(await isActive(first, token, customer)).toBe(true)
    } else {
      const token = await customer.ask(first)
      expect(kidOf(token)).toBe(id)
      expect(await isActive(second, token, customer)).toBe(true)
    }
  }
})

test('a node that was down meanwhile signs with the present key', async () => {
  const [customer] = customers as [Customer]
  const [first, second] = nodes
  await second.kill()
  await must(cluster.api(first, 'POST', `/signing-keys/${(await find('ES256', 'active')).id}/revoke`))
  await second.start()
  const token = await customer.ask(second)
  expect(kidOf(token)).toBe((await find('ES256', 'active')).id)
  expect(await isActive(first, token, customer)).toBe(true)
})

test('what a node prints tells of the keys in words, and shows nothing of them but their ids', async () => {
  const { id } = await find('ES256', 'active')
  await eventually(() => expect(cluster.output()).toContain(id))
  expect(cluster.output()).toContain('"msg":"signing keys loaded"')
  expect(cluster.output().match(/PRIVATE KEY|wrapped|"d":/g)).toBeNull()
})
