import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { systemClock } from '../clock.ts'
import { readConfig } from '../config.ts'
import { OperatorError } from '../errors.ts'
import { type Assertion, type Credentials, credentialsOf, signAssertion } from './assertion.ts'
import { type DemoServer, findRunningServer, startOwnServer } from './demo-server.ts'
import { readKeyFile } from './files.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { type Answer, postForm, request } from './http.ts'
import { createNarrator, type Narrator } from './narrator.ts'
import { startSampleApi } from './sample-api.ts'
import { JWT_BEARER } from './token.ts'

const SCOPE = 'notes:read'
/** Unlike any other run's, and never fetched: an audience is only a name. */
const AUDIENCE = `https://notes.example/${randomBytes(4).toString('hex')}`

/** The demo's hands: they act over HTTP like everybody else. */
type Stage = {
  narrator: Narrator
  issuer: string
  /** A call to the management API as the operator. */
  api(method: string, path: string, body?: unknown): Promise<Answer>
  /** Undone at the end, last first, also when a step fails. */
  cleaning: AsyncDisposableStack
}

/**
 * Tells the story of a service account over real HTTP, with the server that runs here or with one that is
 * started for it, and leaves nothing behind. Throws OperatorError as soon as a step does not behave.
 */
export async function demo(flags: ConfigurationFlags): Promise<void> {
  const narrator = createNarrator((line) => process.stdout.write(`${line}\n`))
  const interrupted = rejectWhenInterrupted()
  await using cleaning = new AsyncDisposableStack()
  const server = await openServer(flags, narrator)
  cleaning.defer(() => server.stop())
  await Promise.race([interrupted, tellStory(server, narrator, cleaning)])
  narrator.say('That was the whole story. What the demo made is deleted again.')
}

async function tellStory(
  server: DemoServer,
  narrator: Narrator,
  cleaning: AsyncDisposableStack,
): Promise<void> {
  const stage = await signIn(server, narrator, cleaning)
  const organization = await createOrganization(stage)
  const resourceServer = await createResourceServer(stage)
  const account = await createServiceAccount(stage, organization)
  const { keyPath, credentials } = await createKey(stage, account)
  await refuseWithoutPermission(stage, credentials)
  await grantPermission(stage, account, resourceServer.id)
  const { assertion, token } = await exchange(stage, credentials)
  await callSampleApi(stage, resourceServer.apiUrl, token)
  await replay(stage, credentials, assertion)
  await deleteKey(stage, keyPath)
  await watchTokenDie(stage, resourceServer.apiUrl, token)
}

/** Whoever has seen enough still gets everything tidied up. */
function rejectWhenInterrupted(): Promise<never> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => reject(new OperatorError('The demo was interrupted.')))
    }
  })
  interrupted.catch(() => undefined)
  return interrupted
}

async function openServer(flags: ConfigurationFlags, narrator: Narrator): Promise<DemoServer> {
  const running = await findRunningServer(readConfig(toSettings(flags)))
  if (running !== undefined) {
    narrator.say(`Using the server at ${running.issuer}.`)
    return running
  }
  narrator.say('No server runs here: starting one for the demo, with a database of its own.')
  return startOwnServer()
}

async function signIn(
  server: DemoServer,
  narrator: Narrator,
  cleaning: AsyncDisposableStack,
): Promise<Stage> {
  const { issuer } = server
  narrator.step('The operator exchanges its key file for a token of the management API')
  const operator = credentialsOf(await readKeyFile(server.operatorKeyFile), issuer)
  const { jwt } = await signAssertion(operator, systemClock)
  const answer = await requestToken(operator, jwt)
  const body = narrator.expect(`POST ${issuer}/oauth/token`, answer, { status: 200 })
  const authorization = `Bearer ${body?.access_token}`
  const api: Stage['api'] = (method, path, content) =>
    request(`${issuer}/api/v1${path}`, {
      method,
      headers: { authorization, ...(content === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    })
  return { narrator, issuer, api, cleaning }
}

async function createOrganization({ narrator, api, cleaning }: Stage): Promise<string> {
  narrator.step('It creates an organization: a tenant of the platform')
  const content = { slug: `demo-${randomBytes(4).toString('hex')}`, name: 'Demo' }
  const body = narrator.expect(
    `POST /api/v1/organizations ${JSON.stringify(content)}`,
    await api('POST', '/organizations', content),
    { status: 201 },
  )
  const path = `/organizations/${body?.id}`
  cleaning.defer(() => discard(api, path))
  return path
}

async function createResourceServer({ narrator, api, issuer, cleaning }: Stage) {
  narrator.step('It registers an API that will accept tokens, and gives it a secret to introspect with')
  const content = {
    identifier: AUDIENCE,
    name: 'Notes',
    permissions: [{ name: SCOPE, description: 'Read notes' }],
  }
  const body = narrator.expect(
    `POST /api/v1/resource-servers ${JSON.stringify(content)}`,
    await api('POST', '/resource-servers', content),
    { status: 201 },
  )
  const path = `/resource-servers/${body?.id}`
  cleaning.defer(() => discard(api, path))
  const secret = narrator.expect(
    `POST /api/v1${path}/secrets`,
    await api('POST', `${path}/secrets`, { name: 'Demo' }),
    { status: 201 },
  )
  const id = String(body?.id)
  const sample = await startSampleApi(issuer, { id, secret: String(secret?.client_secret) })
  cleaning.defer(() => sample.close())
  narrator.note(`The sample API listens at ${sample.url}. It introspects every request.`)
  return { id, apiUrl: sample.url }
}

async function createServiceAccount(
  { narrator, api, cleaning }: Stage,
  organization: string,
): Promise<string> {
  narrator.step('An administrator creates a service account: it begins without any permission')
  const body = narrator.expect(
    `POST /api/v1${organization}/service-accounts {"name":"Notes reader"}`,
    await api('POST', `${organization}/service-accounts`, { name: 'Notes reader' }),
    { status: 201 },
  )
  const path = `${organization}/service-accounts/${body?.id}`
  cleaning.defer(() => discard(api, path))
  narrator.note(`It is called ${body?.email}.`)
  return path
}

async function createKey({ narrator, api, cleaning }: Stage, account: string) {
  narrator.step('A key is generated for it; the private half is answered once and kept nowhere')
  const body = narrator.expect(
    `POST /api/v1${account}/keys {"type":"rsa"}`,
    await api('POST', `${account}/keys`, { type: 'rsa' }),
    { status: 201 },
  )
  const folder = await mkdtemp(join(tmpdir(), 'countersign-demo-key-'))
  cleaning.defer(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'key.json')
  await writeFile(path, JSON.stringify(body?.key_file, null, 2), { mode: 0o600 })
  narrator.note(`Saved the key file as ${path}, for its owner alone (0600).`)
  const credentials = credentialsOf(await readKeyFile(path))
  return { keyPath: `${account}/keys/${credentials.keyId}`, credentials }
}

async function refuseWithoutPermission({ narrator }: Stage, credentials: Credentials): Promise<void> {
  narrator.step('The account asks for a token before it may do anything: refused')
  const { jwt } = await signAssertion(credentials, systemClock)
  narrator.expect(
    `POST ${credentials.tokenEndpoint} assertion=… scope=${SCOPE}`,
    await requestToken(credentials, jwt, SCOPE),
    { status: 400, error: 'invalid_scope' },
  )
}

async function grantPermission(
  { narrator, api }: Stage,
  account: string,
  resourceServerId: string,
): Promise<void> {
  narrator.step('The administrator gives it the one permission that it needs')
  const content = { permissions: [{ resource_server_id: resourceServerId, permission: SCOPE }] }
  narrator.expect(
    `PATCH /api/v1${account} ${JSON.stringify(content)}`,
    await api('PATCH', account, content),
    { status: 200 },
  )
}

async function exchange({ narrator }: Stage, credentials: Credentials) {
  narrator.step('The account signs an assertion with its private key, and exchanges it for an access token')
  const assertion = await signAssertion(credentials, systemClock)
  narrator.note('The claims of the assertion:')
  narrator.show(assertion.claims)
  const answer = await requestToken(credentials, assertion.jwt, SCOPE)
  const body = narrator.expect(`POST ${credentials.tokenEndpoint} assertion=… scope=${SCOPE}`, answer, {
    status: 200,
  })
  const token = String(body?.access_token)
  narrator.note('The claims of the token:')
  narrator.show(decodeJwt(token))
  return { assertion, token }
}

async function callSampleApi({ narrator }: Stage, url: string, token: string): Promise<void> {
  narrator.step('It calls the sample API with the token')
  const answer = await getNotes(url, token)
  narrator.show(narrator.expect(`GET ${url}/notes`, answer, { status: 200 }))
}

async function replay({ narrator }: Stage, credentials: Credentials, assertion: Assertion): Promise<void> {
  narrator.step('Somebody replays the assertion: refused, since its jti was used')
  narrator.expect(
    `POST ${credentials.tokenEndpoint} assertion=… (the same)`,
    await requestToken(credentials, assertion.jwt, SCOPE),
    { status: 400, error: 'invalid_grant' },
  )
}

async function deleteKey({ narrator, api }: Stage, keyPath: string): Promise<void> {
  narrator.step('The administrator deletes the key')
  narrator.expect(`DELETE /api/v1${keyPath}`, await api('DELETE', keyPath), { status: 204 })
}

async function watchTokenDie({ narrator }: Stage, url: string, token: string): Promise<void> {
  narrator.step('The same token at the sample API: it died with its key, long before it expires')
  narrator.expect(`GET ${url}/notes`, await getNotes(url, token), { status: 401, error: 'invalid_token' })
}

function requestToken(credentials: Credentials, assertion: string, scope?: string): Promise<Answer> {
  return postForm(credentials.tokenEndpoint, { grant_type: JWT_BEARER, assertion, scope })
}

function getNotes(url: string, token: string): Promise<Answer> {
  return request(`${url}/notes`, { headers: { authorization: `Bearer ${token}` } })
}

/** Tidying up must not hide what went wrong before. */
async function discard(api: Stage['api'], path: string): Promise<void> {
  await api('DELETE', path).catch(() => undefined)
}
