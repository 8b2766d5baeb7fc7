import { expect, test } from '@jest/globals'
import * as oauth from 'oauth4webapi'
import { asClient, byAssertion } from '../support/client-assertions.ts'
import { decode, signCompact } from '../support/jwt.ts'
import { type Answer, toAnswer } from '../support/server.ts'
import { ASSERTIONS, forge, PLACES, usePlaces } from './jwt-places.ts'
import { expectRefusal } from './support.ts'

const places = usePlaces()

/**
 * Each kind of JWT of this server's world, made as dangerous as it can be: by the right key for some place, with
 * all the claims that a good one has there, so that only its kind speaks against it.
 */
type Kind = { sign: () => Promise<string>; acceptedAs: readonly string[] }

const KINDS = {
  'an access token': {
    sign: () => places.fixture.getToken(),
    acceptedAs: ['a token at introspection'],
  },
  'an access token for the management API': {
    sign: () => places.server.operatorToken(),
    acceptedAs: ['a token for the management API', 'the Bearer of an introspection caller'],
  },
  'a grant assertion': {
    sign: () => byAccount('authorization-grant+jwt', places.server.tokenEndpoint),
    acceptedAs: ['an assertion'],
  },
  'a grant assertion without a type': {
    sign: () => byAccount(undefined, places.server.tokenEndpoint),
    acceptedAs: ['an assertion'],
  },
  'a grant assertion for the issuer': {
    sign: () => byAccount('authorization-grant+jwt', places.server.issuer),
    acceptedAs: ['an assertion'],
  },
  'an assertion for the issuer without a type': {
    // Nothing in it says which of the two it is, and both name the same account (conformance 7523-2.2-4).
    sign: () => byAccount(undefined, places.server.issuer),
    acceptedAs: ['an assertion', 'a client assertion'],
  },
  'a client assertion': {
    sign: () => byAccount('client-authentication+jwt', places.server.issuer),
    acceptedAs: ['a client assertion'],
  },
  'a client assertion of a resource server': {
    sign: () => byResourceServer('client-authentication+jwt'),
    acceptedAs: ['a client assertion at introspection'],
  },
  'a client assertion of a resource server without a type': {
    sign: () => byResourceServer(undefined),
    acceptedAs: ['a client assertion at introspection'],
  },
  'a DPoP proof with claims of an assertion': {
    sign: () =>
      byAccount('dpop+jwt', places.server.tokenEndpoint, { htm: 'POST', htu: places.server.tokenEndpoint }),
    acceptedAs: [],
  },
  'a DPoP proof': {
    sign: () => {
      const place = places.at('a DPoP proof')
      return forge(place, place.header(), { ...places.fixture.claims(), ...place.claims() })
    },
    acceptedAs: ['a DPoP proof'],
  },
  'an access token signed by the account': {
    sign: () => byAccount('at+jwt', places.server.tokenEndpoint, { client_id: places.fixture.accountId }),
    acceptedAs: [],
  },
  'an introspection response': {
    sign: () => byServer('token-introspection+jwt', { token_introspection: { active: true } }),
    acceptedAs: [],
  },
  'an introspection response as it was given': {
    sign: introspectionAnswer,
    acceptedAs: ['an introspection response'],
  },
  'signed metadata': {
    sign: () => byServer(undefined, { issuer: places.server.issuer }),
    acceptedAs: [],
  },
  'signed metadata with a plain type': {
    sign: () => byServer('JWT', { issuer: places.server.issuer }),
    acceptedAs: [],
  },
  'an ID token': {
    sign: () => byServer('JWT', { nonce: 'n', auth_time: 1 }),
    acceptedAs: [],
  },
  'a logout token': {
    sign: () => byServer('logout+jwt', { events: {} }),
    acceptedAs: [],
  },
  'a security event token': {
    sign: () => byServer('secevent+jwt', { events: {} }),
    acceptedAs: [],
  },
  'an authorization request': {
    sign: () =>
      byAccount('oauth-authz-req+jwt', places.server.issuer, { client_id: places.fixture.accountId }),
    acceptedAs: [],
  },
} satisfies Record<string, Kind>

/** Signed by the account, with all the claims of a good grant assertion. */
function byAccount(
  typ: string | undefined,
  aud: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  return places.fixture.assertion({ aud, ...more }, typ === undefined ? {} : { typ })
}

/** Signed by the resource server, with all the claims of a good client assertion. */
async function byResourceServer(typ: string | undefined): Promise<string> {
  const place = places.at('a client assertion at introspection')
  return forge(place, place.header({ typ }), place.claims())
}

/** Signed by the server's own key, with all the claims of a live access token. */
async function byServer(typ: string | undefined, more: Record<string, unknown>): Promise<string> {
  const place = places.at('a token at introspection')
  return forge(place, place.header({ typ }), place.claims(more))
}

/** Of a live token, as the resource server gets it (RFC 9701). */
async function introspectionAnswer(): Promise<string> {
  const { fixture, server } = places
  const headers = {
    authorization: fixture.resourceServer.authorization,
    accept: 'application/token-introspection+jwt',
  }
  return (await server.post('/oauth/introspect', { token: await fixture.getToken() }, headers)).text
}

/** Every other parameter and header of this server that takes a JWT. */
const OTHER_PLACES: Record<string, (jwt: string) => Promise<Answer>> = {
  'the Bearer of an introspection caller': async (jwt) =>
    places.server.post(
      '/oauth/introspect',
      { token: await places.fixture.getToken() },
      { authorization: `Bearer ${jwt}` },
    ),
  'a DPoP header at the management API': async (dpop) =>
    toAnswer(
      await fetch(`${places.server.url}/api/v1/me`, {
        headers: { authorization: `DPoP ${await places.server.operatorToken()}`, dpop },
      }),
    ),
}

const kindNames = Object.keys(KINDS) as (keyof typeof KINDS)[]

test.each(kindNames.flatMap((kind) => PLACES.map((place) => [kind, place] as const)))(
  '[8725-3.12-1] %s as %s: accepted only where it belongs',
  async (kind, name) => {
    const { sign, acceptedAs }: Kind = KINDS[kind]
    const jwt = await sign()
    if (acceptedAs.includes(name)) await places.at(name).expectAccepted(jwt)
    else await places.at(name).expectRefused(jwt)
  },
)

test.each(kindNames.flatMap((kind) => Object.keys(OTHER_PLACES).map((place) => [kind, place] as const)))(
  '[8725-3.12-1] %s as %s: accepted only where it belongs',
  async (kind, name) => {
    const { sign, acceptedAs }: Kind = KINDS[kind]
    const jwt = await sign()
    const answer = await OTHER_PLACES[name]!(jwt)
    if (acceptedAs.includes(name)) {
      // Its account may introspect, but the token is for another resource server.
      expect(answer).toMatchObject({ status: 200, body: { active: false } })
      return
    }
    expect([400, 401]).toContain(answer.status)
    expect(answer.body.access_token).toBeUndefined()
    expect(answer.body.active).toBeUndefined()
    expect(answer.text).not.toContain(jwt.split('.')[2])
  },
)

test.each(kindNames)('[8725-3.12-1] %s as a token to revoke ends no token but itself', async (kind) => {
  const { fixture, server } = places
  const jwt = await KINDS[kind].sign()
  const live = await fixture.getToken()
  const answer = await server.post('/oauth/revoke', {
    token: jwt,
    ...byAssertion(await asClient(server, fixture).assertion()),
  })
  // The operator's own is live, and of another account.
  if (kind === 'an access token for the management API') expectRefusal(answer, 400, 'invalid_grant')
  else expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '' })
  expect((await fixture.introspect(live)).body.active).toBe(true)
})

test.each(kindNames)('[8725-3.12-1] %s as the token of a request behind forward auth', async (kind) => {
  const { fixture, server } = places
  const { secret, identifier } = fixture.resourceServer
  const jwt = await KINDS[kind].sign()
  const { status } = await fetch(
    `${server.url}/oauth/forward-auth?resource=${encodeURIComponent(identifier)}`,
    { headers: { authorization: `Bearer ${jwt}`, 'x-resource-server-secret': secret } },
  )
  expect(status).toBe(kind === 'an access token' ? 204 : 401)
})

test.each(kindNames)(
  '[8725-3.12-1] %s as an introspection response: a resource server with oauth4webapi believes its own kind alone',
  async (kind) => {
    const { issuer, url } = places.server
    const authorizationServer = { issuer, jwks_uri: `${url}/.well-known/jwks.json` }
    const resourceServer = {
      client_id: places.fixture.resourceServer.id,
      introspection_signed_response_alg: decode(await introspectionAnswer()).header.alg as string,
    }
    const response = new Response(await KINDS[kind].sign(), {
      headers: { 'content-type': 'application/token-introspection+jwt' },
    })
    const read = oauth.processIntrospectionResponse(authorizationServer, resourceServer, response)
    const { acceptedAs }: Kind = KINDS[kind]
    if (acceptedAs.includes('an introspection response')) expect(await read).toMatchObject({ active: true })
    else await expect(read).rejects.toThrow()
  },
)

test('[8725-3.12-1] opaque tokens are no assertions and open no other resource server', async () => {
  const account = await places.server.createFixture({ algorithm: 'ES256', tokenFormat: 'opaque' })
  const token = await account.getToken()
  expect((await account.introspect(token)).body.active).toBe(true)
  for (const name of PLACES) await places.at(name).expectRefused(token)
})

const SPELLINGS = (type: string) => [type, `application/${type}`, type.toUpperCase(), `APPLICATION/${type}`]

test.each(SPELLINGS('at+jwt'))(
  '[8725-3.11-1] typ %s is that of an access token, and of no assertion',
  async (typ) => {
    for (const name of ['a token at introspection', 'a token for the management API'] as const) {
      const place = places.at(name)
      await place.expectAccepted(await forge(place, place.header({ typ }), place.claims()))
    }
    for (const name of ASSERTIONS) {
      const place = places.at(name)
      await place.expectRefused(await forge(place, place.header({ typ }), place.claims()))
    }
  },
)

test.each([...SPELLINGS('JWT'), ...SPELLINGS('authorization-grant+jwt')])(
  '[8725-3.11-1][bis-13] typ %s is that of an assertion, and of no access token',
  async (typ) => {
    const place = places.at('an assertion')
    await place.expectAccepted(await forge(place, place.header({ typ }), place.claims()))
    for (const name of ['a token at introspection', 'a token for the management API'] as const) {
      const other = places.at(name)
      await other.expectRefused(await forge(other, other.header({ typ }), other.claims()))
    }
  },
)

test.each([
  '',
  ' ',
  'at+jwt ',
  ' JWT',
  'text/at+jwt',
  'application/',
  'application/application/at+jwt',
  'JWT;charset=utf-8',
  'at+jwt+jwt',
  'JOSE',
  'JOSE+JSON',
])('[8725-3.11-1][bis-13] typ %j is no known type anywhere', async (typ) => {
  for (const name of PLACES) {
    const place = places.at(name)
    await place.expectRefused(await forge(place, place.header({ typ }), place.claims()))
  }
})

test('[8725-3.12-1] a service account that registers the server’s own public key gains nothing by it', async () => {
  const { server, fixture, keyRing } = places
  const [ours] = (await keyRing.jwks()).keys.filter((key) => key.alg === 'ES256')
  const { use: _use, ...jwk } = ours!
  const { status, body } = await server.api('POST', `${fixture.accountPath}/keys`, {
    type: 'public_key',
    public_key: jwk,
  })
  const place = places.at('an assertion')
  await place.expectRefused(await fixture.getToken())
  await place.expectRefused(await server.operatorToken())
  if (status === 201) await server.api('DELETE', `${fixture.accountPath}/keys/${body.key.id}`)
  else expect(status).toBe(409)
})

test('[8725-3.12-1] an assertion for one account is no access token, even with every claim of one', async () => {
  const { fixture } = places
  const { claims } = decode(await fixture.getToken())
  const header = { alg: 'RS256', kid: fixture.keyId, typ: 'at+jwt' }
  const jwt = await signCompact(header, claims, fixture.keyPair.privateKey)
  for (const place of PLACES) await places.at(place).expectRefused(jwt)
})
