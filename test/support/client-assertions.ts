import { randomBytes } from 'node:crypto'
import type { CryptoKey } from 'jose'
import { createKeyPair, signCompact, type TestKeyPair } from './jwt.ts'
import { type Fixture, must, type TestServer } from './server.ts'

export const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

type Changes = Record<string, unknown>

/** Whoever authenticates by assertion. */
export type Signer = {
  id: string
  keyId: string
  keyPair: TestKeyPair
  /** The known-good claims of conformance.md, with some changed; undefined removes a member. */
  claims(changes?: Changes): Changes
  /** The known-good client assertion C, with claims and header members changed. */
  assertion(changes?: Changes, header?: Changes): Promise<string>
}

/** The account of a fixture as a client. */
export function asClient(server: TestServer, { accountId, keyId, keyPair }: Fixture): Signer {
  return createSigner(server, { id: accountId, keyId, keyPair })
}

/** A resource server with a key that is registered for it. */
export async function createCaller(
  server: TestServer,
  resourceServerId: string,
  options: { algorithm?: string; terms?: Changes } = {},
): Promise<Signer & { path: string }> {
  const keyPair = await createKeyPair(options.algorithm ?? 'ES256')
  const keys = `/resource-servers/${resourceServerId}/keys`
  const key = await must(
    server.api('POST', keys, {
      public_key: { ...keyPair.publicJwk, alg: keyPair.algorithm },
      ...options.terms,
    }),
  )
  const signer = createSigner(server, { id: resourceServerId, keyId: key.id, keyPair })
  return { ...signer, path: `${keys}/${key.id}` }
}

/** The form members by which an assertion authenticates. */
export function byAssertion(assertion: string): Record<string, string> {
  return { client_assertion_type: CLIENT_ASSERTION_TYPE, client_assertion: assertion }
}

/** Signs a client assertion with some key under a kid. */
export function signAs(signer: Signer, kid: string, key: CryptoKey, algorithm = 'ES256'): Promise<string> {
  return signCompact({ alg: algorithm, kid }, signer.claims(), key)
}

function createSigner(
  server: TestServer,
  { id, keyId, keyPair }: Pick<Signer, 'id' | 'keyId' | 'keyPair'>,
): Signer {
  const claims = (changes: Changes = {}) => {
    const now = Math.floor(server.clock.now() / 1000)
    const jti = randomBytes(12).toString('base64url')
    return without({ iss: id, sub: id, aud: server.issuer, iat: now, exp: now + 60, jti, ...changes })
  }
  return {
    id,
    keyId,
    keyPair,
    claims,
    assertion: (changes, header) =>
      signCompact(
        without({ alg: keyPair.algorithm, kid: keyId, typ: 'client-authentication+jwt', ...header }),
        claims(changes),
        keyPair.privateKey,
      ),
  }
}

function without(members: Changes): Changes {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
