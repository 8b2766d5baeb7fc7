import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createKeyPair } from '../support/jwt.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import { createAdministrator, signIn } from '../support/sign-in.ts'
import { type Known, operationsBelow } from './contract.ts'
import { fuzz } from './inputs.ts'
import { expectSound, type MadeRequest, type Names, requestsFor, sendMade } from './requests.ts'
import { anyText } from './texts.ts'

const OPERATIONS = operationsBelow('/api/v1')
/** The test bed is made anew after so many changes: most of what is fuzzed should still be there. */
const MAX_CHANGES = 25

let server: TestServer
let bed: Names
let changes = 0
beforeAll(async () => {
  server = await startTestServer({ keepsLogs: false })
  bed = await createBed()
})
afterAll(() => server.close())

const publicKeys = await Promise.all(
  ['EdDSA', 'ES256', 'ES384', 'RS256'].flatMap((algorithm) =>
    Array.from({ length: 5 }, async () => (await createKeyPair(algorithm)).publicJwk),
  ),
)
const idsOf = (...names: string[]) => fc.constantFrom(...names.map((name) => `«${name}»`))
const KNOWN: Known = {
  OrganizationId: idsOf('org', 'org', 'other'),
  AccountId: idsOf('acc', 'acc', 'adm'),
  KeyId: idsOf('key'),
  SessionId: idsOf('ses'),
  RoleId: idsOf('role', 'role', 'builtIn'),
  GroupId: idsOf('grp'),
  ResourceServerId: idsOf('rs', 'rs', 'rs', 'rs', 'management'),
  SecretId: idsOf('secret'),
  TokenId: idsOf('tok'),
  PermissionName: fc.constantFrom('read', 'write', 'admin'),
  PublicKeyInput: fc.constantFrom(...publicKeys),
  // RSA pairs of more bits are a matter of time, not of input.
  'property algorithm': fc.constantFrom('EdDSA', 'ES256', 'RS256'),
  confirm: fc.constant('«slug»'),
  'property modulus_length': fc.constant(2048),
  org: idsOf('org'),
  acc: idsOf('acc'),
  'acc in administrators': idsOf('adm'),
  key: idsOf('key'),
  'key in keys': idsOf('rsKey'),
  ses: idsOf('ses'),
  role: idsOf('role', 'role', 'builtIn'),
  grp: idsOf('grp'),
  rs: idsOf('rs'),
  id: idsOf('secret'),
  tok: idsOf('tok'),
}
const credentials = fc.oneof(
  { weight: 15, arbitrary: fc.constant({ header: { authorization: 'Bearer «token»' }, isGood: true }) },
  { weight: 1, arbitrary: fc.constant({ header: {}, isGood: false }) },
  {
    weight: 1,
    arbitrary: anyText
      .map((text) => text.replaceAll(/[^\t\x20-\x7e]/g, 'x').trim())
      .map((text) => ({ header: { authorization: `Bearer ${text}` }, isGood: false })),
  },
)

describe('whatever is sent to an operation of openapi.yaml, the answer is one that it describes', () => {
  test.each(OPERATIONS)('$name', async (operation) => {
    if (changes > 0) bed = await createBed()
    await fuzz(
      'management API',
      requestsFor(operation, { known: KNOWN, credentials }),
      async (made) => {
        if (changes >= MAX_CHANGES) bed = await createBed()
        const answer = await sendMade(server, made, { ...bed, token: await server.operatorToken() })
        expectSound(answer, made, operation)
        if (answer.status < 300 && !isRead(made)) changes++
      },
      { parts: OPERATIONS.length },
    )
  })
})

test('after all of this the server works as before', async () => {
  expect((await server.api('GET', '/me')).status).toBe(200)
  const fresh = await server.createFixture({ algorithm: 'ES256' })
  expect((await fresh.introspect(await fresh.getToken())).body.active).toBe(true)
  expect(Object.prototype).not.toHaveProperty('admin')
})

function isRead({ method }: MadeRequest): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method)
}

/** One of everything that an operation can name. */
async function createBed(): Promise<Names> {
  changes = 0
  const fixture = await server.createFixture({ algorithm: 'ES256' })
  const other = await server.createFixture({ algorithm: 'ES256' })
  const organization = `/organizations/${fixture.organizationId}`
  const { jti } = (await fixture.introspect(await fixture.getToken())).body
  const secrets = await must(server.api('GET', `/resource-servers/${fixture.resourceServer.id}/secrets`))
  const role = await must(server.api('POST', `${organization}/roles`, { name: 'fuzzed', permissions: [] }))
  const group = await must(server.api('POST', `${organization}/groups`, { name: 'fuzzed' }))
  const administrator = await createAdministrator(server, fixture.organizationId)
  await signIn(server, administrator)
  const sessions = await must(server.api('GET', `${administrator.path}/sessions`))
  const roles = await must(server.api('GET', `${organization}/roles?limit=200`))
  const servers = await must(server.api('GET', '/resource-servers?limit=200'))
  const { id: rsKey } = await must(
    server.api('POST', `/resource-servers/${fixture.resourceServer.id}/keys`, {
      public_key: (await createKeyPair('ES256')).publicJwk,
    }),
  )
  const { slug } = await must(server.api('GET', organization))
  const idOf = (item?: { id: string }) => item?.id ?? ''
  return {
    org: fixture.organizationId,
    slug,
    other: other.organizationId,
    acc: fixture.accountId,
    adm: administrator.id,
    key: fixture.keyId,
    tok: jti,
    rs: fixture.resourceServer.id,
    secret: secrets.items[0].id,
    rsKey,
    role: role.id,
    builtIn: idOf(roles.items.find((item: { built_in: boolean }) => item.built_in)),
    grp: group.id,
    ses: idOf(sessions.items[0]),
    management: idOf(servers.items.find((item: { built_in: boolean }) => item.built_in)),
  }
}
