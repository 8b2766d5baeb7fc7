import { createHash, randomBytes } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import type { Clock } from '../../src/clock.ts'
import { createKeyPair, signCompact, type TestKeyPair } from './jwt.ts'
import { type Answer, type Fixture, must, type TestServer, toAnswer } from './server.ts'

/** Members of a JWT; undefined leaves one out. */
type Members = Record<string, unknown>

/** What a good proof is for; without a nonce it is one that the server does not know yet. */
export type ProofTerms = { method?: string; uri?: string; accessToken?: string; nonce?: string | undefined }

/** Somebody who holds a key and makes DPoP proofs with it (RFC 9449). */
export type Prover = {
  keyPair: TestKeyPair
  /** The thumbprint that tokens are bound to. */
  jkt: string
  /** Header and claims of a good proof. By default it is for a token request. */
  header(changes?: Members): Members
  claims(terms?: ProofTerms, changes?: Members): Members
  prove(terms?: ProofTerms, claims?: Members, header?: Members): Promise<string>
  /** A nonce of the token endpoint, as a client gets it. */
  tokenNonce(): Promise<string>
  /** A nonce of the management API. */
  managementNonce(): Promise<string>
  /** A token request by G with a good proof, some members of it changed. */
  requestToken(fixture: Fixture, claims?: Members, header?: Members): Promise<Answer>
  getToken(fixture: Fixture): Promise<string>
  /** A call of the management API with a bound token and a good proof, some members of it changed. */
  call(token: string, options?: CallOptions): Promise<Answer>
}

export type CallOptions = {
  method?: string
  path?: string
  claims?: Members
  header?: Members
  headers?: Record<string, string>
}

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** The server, or the node, that its proofs are for. */
export type ProvenServer = Pick<TestServer, 'url' | 'issuer' | 'tokenEndpoint' | 'post'> & { clock: Clock }

export async function createProver(server: ProvenServer, algorithm = 'ES256'): Promise<Prover> {
  const keyPair = await createKeyPair(algorithm)
  const prover: Prover = {
    keyPair,
    jkt: await calculateJwkThumbprint(keyPair.publicJwk),
    header: (changes = {}) =>
      present({ alg: algorithm, typ: 'dpop+jwt', jwk: keyPair.publicJwk, ...changes }),
    claims: ({ method = 'POST', uri = server.tokenEndpoint, accessToken, nonce } = {}, changes = {}) =>
      present({
        jti: randomBytes(12).toString('base64url'),
        htm: method,
        htu: uri,
        iat: Math.floor(server.clock.now() / 1000),
        ath: accessToken === undefined ? undefined : hash(accessToken),
        nonce,
        ...changes,
      }),
    prove: (terms, claims, header) =>
      signCompact(prover.header(header), prover.claims(terms, claims), keyPair.privateKey),
    async tokenNonce() {
      return nonceOf(await server.post('/oauth/token', {}, { dpop: await prover.prove() }))
    },
    async managementNonce() {
      const dpop = await prover.prove({ method: 'GET', uri: `${server.issuer}/api/v1/me`, accessToken: 'x' })
      return nonceOf(
        await toAnswer(
          await fetch(`${server.url}/api/v1/me`, { headers: { authorization: 'DPoP x', dpop } }),
        ),
      )
    },
    async requestToken(fixture, claims, header) {
      const form = { grant_type: JWT_BEARER, assertion: await fixture.assertion() }
      const nonce = await prover.tokenNonce()
      return server.post('/oauth/token', form, { dpop: await prover.prove({ nonce }, claims, header) })
    },
    async getToken(fixture) {
      return (await must(prover.requestToken(fixture))).access_token
    },
    async call(token, { method = 'GET', path = '/me', claims, header, headers } = {}) {
      const nonce = await prover.managementNonce()
      const uri = `${server.issuer}/api/v1${path}`
      const dpop = await prover.prove({ method, uri, accessToken: token, nonce }, claims, header)
      return toAnswer(
        await fetch(`${server.url}/api/v1${path}`, {
          method,
          headers: { authorization: `DPoP ${token}`, dpop, ...headers },
        }),
      )
    },
  }
  return prover
}

/** The hash of an access token as `ath` bears it (RFC 9449 §4.2). */
export function hash(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

function nonceOf({ headers, status, text }: Answer): string {
  const nonce = headers.get('dpop-nonce')
  if (nonce === null) throw new Error(`no nonce: ${status} ${text}`)
  return nonce
}

function present(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
