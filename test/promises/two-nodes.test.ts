import { generateKeyPairSync } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { systemClock } from '../../src/clock.ts'
import { createProver } from '../support/dpop.ts'
import { eventually } from '../support/eventually.ts'
import { type Node, type Nodes, signWithKeyFile, startNodes } from '../support/nodes.ts'
import { type Answer, must } from '../support/server.ts'

jest.setTimeout(60_000)

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let cluster: Nodes
let [first, second]: Node[] = []
let resourceServer: { id: string; authorization: string }
let organizationId: string

beforeAll(async () => {
  cluster = await startNodes(2)
  ;[first, second] = cluster.nodes
  const organization = await must(
    cluster.api(first!, 'POST', '/organizations', { slug: 'acme', name: 'Acme' }),
  )
  organizationId = organization.id
  const server = await must(
    cluster.api(first!, 'POST', '/resource-servers', {
      identifier: 'https://api.example.test',
      name: 'API',
      permissions: [{ name: 'read', description: 'Read' }],
    }),
  )
  const { client_secret } = await must(
    cluster.api(first!, 'POST', `/resource-servers/${server.id}/secrets`, { name: 'test' }),
  )
  resourceServer = {
    id: server.id,
    authorization: `Basic ${Buffer.from(`${server.id}:${client_secret}`).toString('base64')}`,
  }
})
afterAll(() => cluster.close())

type KeyFile = Record<string, string>
type Account = { path: string; keyFile: KeyFile; keyPath: string }

async function createAccount(): Promise<Account> {
  const created = await must(
    cluster.api(first!, 'POST', `/organizations/${organizationId}/service-accounts`, {
      name: `Sync ${crypto.randomUUID()}`,
      permissions: [{ resource_server_id: resourceServer.id, permission: 'read' }],
      initial_key: { type: 'rsa', name: 'first' },
    }),
  )
  const path = `/organizations/${organizationId}/service-accounts/${created.id}`
  const keyFile: KeyFile = created.initial_key.key_file
  return { path, keyFile, keyPath: `${path}/keys/${keyFile.private_key_id}` }
}

async function ask(node: Node, keyFile: KeyFile, assertion?: string): Promise<Answer> {
  return node.post('/oauth/token', {
    grant_type: JWT_BEARER,
    assertion: assertion ?? (await signWithKeyFile(keyFile)),
  })
}

/** A resource server’s key, in the form of a key file. */
async function createCaller(): Promise<{ keyFile: KeyFile; path: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys = `/resource-servers/${resourceServer.id}/keys`
  const key = await must(
    cluster.api(first!, 'POST', keys, { public_key: publicKey.export({ type: 'spki', format: 'pem' }) }),
  )
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return {
    keyFile: { client_id: resourceServer.id, private_key_id: key.id, private_key: pem },
    path: `${keys}/${key.id}`,
  }
}

/** The form members of a client assertion. */
async function authentication(keyFile: KeyFile): Promise<Record<string, string>> {
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await signWithKeyFile(keyFile, { exp: Math.floor(Date.now() / 1000) + 60 }),
  }
}

async function isActive(node: Node, token: string): Promise<boolean> {
  const answer = await node.post(
    '/oauth/introspect',
    { token },
    { authorization: resourceServer.authorization },
  )
  expect(answer.status).toBe(200)
  return answer.body.active
}

describe('revocation is immediate on every node (promise 1)', () => {
  test.each<[string, (account: Account) => Promise<Answer>]>([
    ['disabling the key', (account) => cluster.api(first!, 'PATCH', account.keyPath, { status: 'disabled' })],
    ['deleting the key', (account) => cluster.api(first!, 'DELETE', account.keyPath)],
    [
      'disabling the account',
      (account) => cluster.api(first!, 'PATCH', account.path, { status: 'disabled' }),
    ],
    ['deleting the account', (account) => cluster.api(first!, 'DELETE', account.path)],
  ])('%s, under load on both nodes', async (_name, revoke) => {
    const account = await createAccount()
    const issued: { token: string; askedAfter: boolean }[] = []
    const refused: { status: number; error: string }[] = []
    let isAnswered = false
    let isOver = false
    const load = async (node: Node) => {
      while (!isOver) {
        const askedAfter = isAnswered
        const answer = await ask(node, account.keyFile)
        if (answer.status === 200) issued.push({ token: answer.body.access_token, askedAfter })
        else refused.push({ status: answer.status, error: answer.body.error })
      }
    }
    const loads = [first!, second!, first!, second!].map(load)
    while (issued.length < 10) await sleep(10)
    expect((await revoke(account)).status).toBeLessThan(300)
    isAnswered = true
    await eventually(() => expect(refused.length).toBeGreaterThan(12)).finally(() => {
      isOver = true
    })
    await Promise.all(loads)

    expect(issued.filter((entry) => entry.askedAfter)).toEqual([])
    expect(new Set(refused.map((entry) => `${entry.status} ${entry.error}`))).toEqual(
      new Set(['400 invalid_grant']),
    )
    for (const { token } of issued) {
      expect(await isActive(first!, token)).toBe(false)
      expect(await isActive(second!, token)).toBe(false)
    }
  })

  test('revoking one token ends that one on the other node, and no other', async () => {
    const account = await createAccount()
    const tokens = await Promise.all([ask(second!, account.keyFile), ask(second!, account.keyFile)])
    const [ended, kept] = tokens.map((answer) => answer.body.access_token as string)
    const { jti } = JSON.parse(Buffer.from(ended!.split('.')[1] ?? '', 'base64url').toString())
    expect((await cluster.api(first!, 'DELETE', `${account.path}/tokens/${jti}`)).status).toBe(204)
    expect(await isActive(second!, ended!)).toBe(false)
    expect(await isActive(second!, kept!)).toBe(true)
  })

  test('an account that ends its own token ends it on the other node (RFC 7009)', async () => {
    const account = await createAccount()
    const [ended, kept] = await Promise.all([ask(second!, account.keyFile), ask(second!, account.keyFile)])
    for (const token of [ended.body.access_token, kept.body.access_token])
      expect(await isActive(second!, token)).toBe(true)
    const form = { token: ended.body.access_token, ...(await authentication(account.keyFile)) }
    expect((await first!.post('/oauth/revoke', form)).status).toBe(200)
    expect(await isActive(second!, ended.body.access_token)).toBe(false)
    expect(await isActive(first!, ended.body.access_token)).toBe(false)
    expect(await isActive(second!, kept.body.access_token)).toBe(true)
  })

  test('a key of a resource server that is disabled on one node authenticates nobody on the other', async () => {
    const caller = await createCaller()
    const askAs = async (node: Node) =>
      (await node.post('/oauth/introspect', { token: 'x', ...(await authentication(caller.keyFile)) })).status
    expect([await askAs(first!), await askAs(second!)]).toEqual([200, 200])
    await must(cluster.api(first!, 'PATCH', caller.path, { status: 'disabled' }))
    expect([await askAs(second!), await askAs(first!)]).toEqual([401, 401])
  })

  test('revoking all tokens of an account ends them all, and the key still gets new ones', async () => {
    const account = await createAccount()
    const before = (await ask(second!, account.keyFile)).body.access_token
    expect((await cluster.api(first!, 'DELETE', `${account.path}/tokens`)).status).toBe(204)
    expect(await isActive(second!, before)).toBe(false)
    const after = (await ask(second!, account.keyFile)).body.access_token
    expect(await isActive(first!, after)).toBe(true)
  })

  test('tokens of a disabled key stay dead when it is enabled again', async () => {
    const account = await createAccount()
    const before = (await ask(second!, account.keyFile)).body.access_token
    await must(cluster.api(first!, 'PATCH', account.keyPath, { status: 'disabled' }))
    await must(cluster.api(first!, 'PATCH', account.keyPath, { status: 'active' }))
    expect(await isActive(second!, before)).toBe(false)
    expect(await isActive(first!, (await ask(second!, account.keyFile)).body.access_token)).toBe(true)
  })
})

describe('an assertion with a jti is accepted once (promise 2)', () => {
  test('[7523-3.7b] of 20 parallel posts to two nodes exactly one is accepted', async () => {
    const account = await createAccount()
    for (let round = 0; round < 5; round++) {
      const assertion = await signWithKeyFile(account.keyFile)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          ask(index % 2 === 0 ? first! : second!, account.keyFile, assertion),
        ),
      )
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
      expect(
        new Set(answers.filter((answer) => answer.status !== 200).map((answer) => answer.body.error)),
      ).toEqual(new Set(['invalid_grant']))
    }
  })

  test('[7523-3.7b] of 20 parallel authentications with one client assertion over two nodes exactly one is accepted, wherever it is used', async () => {
    const account = await createAccount()
    const uses: ((node: Node, form: Record<string, string>) => Promise<Answer>)[] = [
      (node, form) => node.post('/oauth/token', { grant_type: 'client_credentials', ...form }),
      (node, form) => node.post('/oauth/revoke', { token: 'x', ...form }),
      async (node, form) =>
        node.post('/oauth/token', {
          grant_type: JWT_BEARER,
          assertion: await signWithKeyFile(account.keyFile),
          ...form,
        }),
    ]
    for (let round = 0; round < 5; round++) {
      const form = await authentication(account.keyFile)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          uses[index % uses.length]!(index % 2 === 0 ? first! : second!, form),
        ),
      )
      expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
      expect(
        new Set(answers.filter((answer) => answer.status !== 200).map((answer) => answer.body.error)),
      ).toEqual(new Set(['invalid_client']))
    }
  })

  test('[7523-3.7b] a resource server’s assertion is accepted once, over two nodes and a restart', async () => {
    const caller = await createCaller()
    const form = { token: 'x', ...(await authentication(caller.keyFile)) }
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? first! : second!).post('/oauth/introspect', form),
      ),
    )
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1)
    await second!.kill()
    await second!.start()
    expect((await second!.post('/oauth/introspect', form)).body.error).toBe('invalid_client')
  })

  test('a DPoP proof with a nonce of one node is good on the other, once, also after a kill', async () => {
    const account = await createAccount()
    const tokenEndpoint = `${cluster.issuer}/oauth/token`
    const of = (node: Node) => ({ ...node, issuer: cluster.issuer, tokenEndpoint, clock: systemClock })
    const prover = await createProver(of(first!))
    const dpop = await prover.prove({ nonce: await prover.tokenNonce() })
    const send = async (node: Node) => {
      const form = { grant_type: JWT_BEARER, assertion: await signWithKeyFile(account.keyFile) }
      return node.post('/oauth/token', form, { dpop })
    }
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => send(index % 2 === 0 ? second! : first!)),
    )
    expect(answers.filter(({ body }) => body.token_type === 'DPoP')).toHaveLength(1)
    await second!.kill()
    await second!.start()
    expect((await send(second!)).body.error).toBe('invalid_dpop_proof')
  })

  test('a replay is refused by a node that was killed and started again', async () => {
    const account = await createAccount()
    const assertion = await signWithKeyFile(account.keyFile)
    expect((await ask(second!, account.keyFile, assertion)).status).toBe(200)
    await second!.kill()
    await second!.start()
    expect((await ask(second!, account.keyFile, assertion)).body.error).toBe('invalid_grant')
    expect((await ask(first!, account.keyFile, assertion)).body.error).toBe('invalid_grant')
  })
})

describe('a token that was answered is on disk (promise 3)', () => {
  test('tokens of a node that is killed the moment they are answered are active elsewhere', async () => {
    const account = await createAccount()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(second!, account.keyFile)))
    await second!.kill()
    for (const { body } of answers) expect(await isActive(first!, body.access_token)).toBe(true)
    await second!.start()
  })

  test('whatever was answered before a kill in the middle of a load is active afterwards', async () => {
    const account = await createAccount()
    const answered: string[] = []
    const loads = Array.from({ length: 8 }, async () => {
      for (let round = 0; round < 50; round++) {
        const answer = await ask(second!, account.keyFile).catch(() => undefined)
        if (answer === undefined) return
        if (answer.status === 200) answered.push(answer.body.access_token)
      }
    })
    while (answered.length < 40) await sleep(5)
    await second!.kill()
    await Promise.all(loads)
    for (const token of answered) expect(await isActive(first!, token)).toBe(true)
    await second!.start()
  })
})

test('private keys, secrets and tokens stand in no line that a node prints (promise 4)', async () => {
  const account = await createAccount()
  const token = (await ask(first!, account.keyFile)).body.access_token
  const refused = await ask(second!, account.keyFile, `${await signWithKeyFile(account.keyFile)}x`)
  const requestId = refused.headers.get('x-request-id') ?? ''
  await eventually(() => expect(cluster.output()).toContain(requestId))

  const secrets = [account.keyFile.private_key!.split('\n')[3]!, token, resourceServer.authorization.slice(6)]
  expect(secrets.filter((secret) => cluster.output().includes(secret))).toEqual([])
  expect(cluster.output().match(/PRIVATE KEY|eyJ[\w-]{8,}\.[\w-]+\./g)).toBeNull()
})
