import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { runCommand } from '../support/command.ts'
import { decode } from '../support/jwt.ts'
import { type Node, type Nodes, signWithKeyFile, startNodes } from '../support/nodes.ts'
import { must } from '../support/server.ts'

// Six starts of a server, one after the other.
jest.setTimeout(180_000)

let cluster: Nodes
let nodes: readonly [Node, Node]
let keyFile: Record<string, string>
let authorization: string

beforeAll(async () => {
  cluster = await startNodes(2)
  nodes = cluster.nodes as [Node, Node]
  const { organization } = await must(cluster.api(nodes[0], 'GET', '/me'))
  const server = await must(
    cluster.api(nodes[0], 'POST', '/resource-servers', {
      identifier: 'https://api.example.test',
      name: 'API',
      permissions: [{ name: 'read', description: 'Read' }],
    }),
  )
  const { client_secret } = await must(
    cluster.api(nodes[0], 'POST', `/resource-servers/${server.id}/secrets`, { name: 'test' }),
  )
  authorization = `Basic ${Buffer.from(`${server.id}:${client_secret}`).toString('base64')}`
  const account = await must(
    cluster.api(nodes[0], 'POST', `/organizations/${organization.id}/service-accounts`, {
      name: 'load',
      permissions: [{ resource_server_id: server.id, permission: 'read' }],
      initial_key: { type: 'rsa' },
    }),
  )
  keyFile = account.initial_key.key_file
  await must(
    cluster.api(nodes[0], 'PUT', `/organizations/${organization.id}/identity-provider`, {
      issuer: 'https://idp.example.test',
      client_id: 'countersign',
      client_secret: 'a secret at the provider',
      email_domains: ['example.test'],
    }),
  )
})
afterAll(() => cluster.close())

const keyPath = () => join(cluster.environment.COUNTERSIGN_KEYS_DIR as string, 'key-encryption-key')

/** As a rolling deployment does: the configuration is changed, then one node after the other is started anew. */
async function roll(keys: readonly string[], between: () => Promise<void> = async () => undefined) {
  await writeFile(keyPath(), `${keys.join('\n')}\n`, { mode: 0o600 })
  for (const node of nodes) {
    await node.stop()
    await node.start()
    if (node === nodes[0]) await between()
  }
}

/** The keys that stand ready sign; those that stand ready then are made by this node. */
async function rotate(node: Node): Promise<void> {
  await cluster.query(
    `update signing_keys set created_at = created_at - interval '2 hours' where status = 'next'`,
  )
  await must(cluster.api(node, 'POST', '/signing-keys/rotate'))
}

/** undefined while the node is not there: a proxy in front of it sends such a request elsewhere. */
async function unlessDown<Result>(request: Promise<Result>): Promise<Result | undefined> {
  try {
    return await request
  } catch (error) {
    // What fetch throws is of another realm than the test.
    if (Error.isError(error) && error.name === 'TypeError') return undefined
    throw error
  }
}

test('the key-encryption key is replaced while tokens are issued and introspected on two nodes', async () => {
  const tokens: string[] = []
  const faults: string[] = []
  let isOver = false
  const loads = nodes.map(async (node) => {
    while (!isOver) {
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await signWithKeyFile(keyFile),
        resource: 'https://api.example.test',
      }
      const issued = await unlessDown(node.post('/oauth/token', form))
      if (issued === undefined) {
        await sleep(20)
        continue
      }
      if (issued.status !== 200) faults.push(issued.text)
      const token = issued.body?.access_token
      if (typeof token !== 'string') continue
      tokens.push(token)
      for (const asked of nodes) {
        const answer = await unlessDown(asked.post('/oauth/introspect', { token }, { authorization }))
        if (answer !== undefined && answer.body?.active !== true) faults.push(answer.text)
      }
    }
  })

  const old = (await readFile(keyPath(), 'utf8')).trim()
  const young = randomBytes(32).toString('base64')
  const kids: string[] = []
  await roll([old, young])
  await roll([young, old], async () => {
    // Twice: so that the node that has the former key first signs with keys wrapped under the new one.
    for (let round = 0; round < 2; round++) await rotate(nodes[0])
    const { access_token } = await must(
      nodes[1].post('/oauth/token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await signWithKeyFile(keyFile),
        resource: 'https://api.example.test',
      }),
    )
    kids.push(String(decode(access_token).header.kid))
  })
  const command = { cwd: cluster.environment.COUNTERSIGN_KEYS_DIR as string, env: cluster.environment }
  const first = await runCommand(['rekey'], command)
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toContain('client secrets at identity providers: 1 wrapped anew')
  const second = await runCommand(['rekey'], command)
  expect(second).toMatchObject({ code: 0, stderr: '' })
  expect(second.stdout).toContain('If every node has it first, the others can go.')
  await roll([young])
  isOver = true
  await Promise.all(loads)

  expect(faults).toEqual([])
  expect(new Set(tokens.map((token) => decode(token).header.kid)).size).toBeGreaterThan(1)
  const { items } = await must(cluster.api(nodes[1], 'GET', '/signing-keys?limit=200'))
  expect(
    items.filter(({ status }: { status: string }) => status === 'active').map(({ id }: { id: string }) => id),
  ).toEqual(expect.arrayContaining(kids))
  expect(await runCommand(['rekey'], command)).toMatchObject({ code: 0, stderr: '' })
  for (const key of [old, young]) expect(cluster.output()).not.toContain(key)
})
