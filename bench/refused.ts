import { createApiToken } from '../src/tokens/api-token.ts'
import { prepareAssertions } from './assertions.ts'
import { type Countersign, createKey } from './countersign.ts'
import { formRequest, tokenRequest } from './load.ts'

/** A kind of request that is refused; `request` bears the address that it is said to come from. */
export type Refused = {
  name: string
  request(from: string, sample: number): Buffer
  /** Why its time differs from that of the first of its group, where that is meant. */
  byDesign?: string
}

/** Refusals that say the same, and so should take as long as the first of them. */
export type RefusedGroup = { name: string; samples: number; kinds: readonly [Refused, ...Refused[]] }

/** How many of each kind are sent. */
export type SampleCounts = { requests: number; signIns: number }

/** Rounds before those that count. */
export const WARM_UP_ROUNDS = 50

/** Sign-ins that fail at one address in an hour without being throttled, with room. */
const GUESSES_PER_ADMINISTRATOR = 50
const AGAIN = 'the same once more'

/** Prepares what is asked about, and the requests, of the groups whose names match `only`. */
export async function listRefusedGroups(
  countersign: Countersign,
  { requests, signIns }: SampleCounts,
  only: RegExp,
): Promise<RefusedGroup[]> {
  const organization = await countersign.api('POST', '/organizations', { slug: 'timing', name: 'Timing' })
  const place = `/organizations/${organization.id}`
  const resourceServer = await countersign.api('POST', '/resource-servers', {
    identifier: 'https://timing.example',
    name: 'Timing',
    permissions: [{ name: 'timing:read', description: 'Read' }],
  })
  // They are read for whoever is found: accounts without any would be found in less time.
  const permissions = [{ resource_server_id: resourceServer.id, permission: 'timing:read' }]
  const groups: Record<string, () => Promise<RefusedGroup['kinds']>> = {
    assertions: () => listAssertions(countersign, place, permissions),
    'client secrets': () => listClientSecrets(countersign, place, permissions),
    introspection: async () => listIntrospections(countersign),
    'sign-ins': () => listSignIns(countersign, place, signIns),
  }
  const listed: RefusedGroup[] = []
  for (const [name, list] of Object.entries(groups).filter(([name]) => only.test(name)))
    listed.push({ name, samples: name === 'sign-ins' ? signIns : requests, kinds: await list() })
  return listed
}

/** None is signed with the key that it names: nobody who has that needs to guess. */
async function listAssertions(
  countersign: Countersign,
  place: string,
  permissions: readonly object[],
): Promise<[Refused, ...Refused[]]> {
  const { api, issuer } = countersign
  const { privateKey } = createKey()
  const account = await api('POST', `${place}/service-accounts`, { name: 'Open', permissions })
  const disabled = await api('POST', `${place}/service-accounts`, { name: 'Disabled', permissions })
  const keyOf = async (accountId: string) => {
    const { publicKey } = createKey()
    const path = `${place}/service-accounts/${accountId}/keys`
    const { key } = await api('POST', path, { type: 'public_key', public_key: publicKey })
    return key.id as string
  }
  const [open, revoked, closed] = [await keyOf(account.id), await keyOf(account.id), await keyOf(disabled.id)]
  await api('DELETE', `${place}/service-accounts/${account.id}/keys/${revoked}`)
  await api('PATCH', `${place}/service-accounts/${disabled.id}`, { status: 'disabled' })
  const kind = async (
    name: string,
    accountId: string,
    keyId: string,
    byDesign?: string,
  ): Promise<Refused> => {
    const [assertion] = await prepareAssertions({ privateKey, keyId, accountId, issuer }, 1)
    return {
      name,
      request: (from) => tokenRequest(assertion ?? '', { 'X-Forwarded-For': from }),
      ...(byDesign !== undefined && { byDesign }),
    }
  }
  return [
    await kind('wrong signature', account.id, open),
    await kind(AGAIN, account.id, open),
    await kind('unknown account', unknownLike(account.id), open, UNVERIFIED),
    await kind('unknown key', account.id, unknownLike(open), UNVERIFIED),
    await kind('disabled account', disabled.id, closed, UNVERIFIED),
    await kind('revoked key', account.id, revoked, UNVERIFIED),
  ]
}

const UNVERIFIED = 'no signature is checked where no usable key is found'

async function listClientSecrets(
  countersign: Countersign,
  place: string,
  permissions: readonly object[],
): Promise<[Refused, ...Refused[]]> {
  const { api } = countersign
  const accounts = `${place}/service-accounts`
  const account = await api('POST', accounts, { name: 'Open secret', permissions })
  const disabled = await api('POST', accounts, { name: 'Disabled secret', permissions })
  const keyOf = async (accountId: string) =>
    (await api('POST', `${accounts}/${accountId}/keys`, { type: 'api_token' })).key.id as string
  const [open, revoked, closed] = [await keyOf(account.id), await keyOf(account.id), await keyOf(disabled.id)]
  await api('DELETE', `${accounts}/${account.id}/keys/${revoked}`)
  await api('PATCH', `${accounts}/${disabled.id}`, { status: 'disabled' })
  const kind = (name: string, accountId: string, keyId: string): Refused => {
    // The checksum holds, so that the secret is looked up.
    const credentials = Buffer.from(`${accountId}:${createApiToken(keyId)}`).toString('base64')
    return {
      name,
      request: (from) =>
        formRequest('/oauth/token', 'grant_type=client_credentials', {
          Authorization: `Basic ${credentials}`,
          'X-Forwarded-For': from,
        }),
    }
  }
  return [
    kind('wrong secret', account.id, open),
    kind(AGAIN, account.id, open),
    kind('unknown client', unknownLike(account.id), open),
    kind('unknown key', account.id, unknownLike(open)),
    kind('disabled account', disabled.id, closed),
    kind('revoked key', account.id, revoked),
  ]
}

function listIntrospections({ introspectors }: Countersign): [Refused, ...Refused[]] {
  const [id = '', secret = ''] = Buffer.from(introspectors.jwt.slice('Basic '.length), 'base64')
    .toString()
    .split(':')
  const kind = (name: string, callerId: string): Refused => {
    const credentials = Buffer.from(`${callerId}:${unknownLike(secret)}`).toString('base64')
    return {
      name,
      request: (from) =>
        formRequest('/oauth/introspect', 'token=x', {
          Authorization: `Basic ${credentials}`,
          'X-Forwarded-For': from,
        }),
    }
  }
  return [kind('wrong secret', id), kind(AGAIN, id), kind('unknown caller', unknownLike(id))]
}

async function listSignIns(
  countersign: Countersign,
  place: string,
  samples: number,
): Promise<[Refused, ...Refused[]]> {
  const { api, issuer, port } = countersign
  const count = Math.ceil(((samples + WARM_UP_ROUNDS) * 2) / GUESSES_PER_ADMINISTRATOR) + 1
  const invite = async (name: string) => {
    const path = `${place}/administrators`
    const invited = await api('POST', path, { name, email: `${name}@people.example` })
    const invitation = new URL(invited.invitation_url).hash.slice(1)
    const response = await fetch(`${issuer}/sign-in/invitation/accept`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: issuer },
      body: JSON.stringify({ invitation, password: `the pass phrase of ${name}` }),
    })
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return { path: `${path}/${invited.id}` }
  }
  for (let index = 0; index < count; index++) {
    await invite(nameOf('known', index))
    await api('PATCH', (await invite(nameOf('stops', index))).path, { status: 'disabled' })
  }
  const kind = (name: string, whose: string): Refused => ({
    name,
    request: (from, sample) => {
      const email = `${nameOf(whose, sample % count)}@people.example`
      const body = JSON.stringify({ email, password: 'this pass phrase is nobodys' })
      return Buffer.from(
        `POST /sign-in/password HTTP/1.1\r\nHost: localhost:${port}\r\nOrigin: ${issuer}\r\nX-Forwarded-For: ${from}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      )
    },
  })
  return [
    kind('wrong password', 'known'),
    kind(AGAIN, 'known'),
    kind('unknown address', 'other'),
    kind('disabled administrator', 'stops'),
  ]
}

/** Of one length. */
function nameOf(whose: string, index: number): string {
  return `${whose}${String(index).padStart(4, '0')}`
}

/** As long as what it stands for, and of its form, but nobody's. */
function unknownLike(text: string): string {
  const middle = Math.floor(text.length / 2)
  return `${text.slice(0, middle)}${text[middle] === '7' ? '8' : '7'}${text.slice(middle + 1)}`
}
