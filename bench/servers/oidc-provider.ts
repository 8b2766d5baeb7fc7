// @ts-expect-error: has no types of its own
import Provider from 'oidc-provider'

/**
 * node-oidc-provider as it comes, with its in-memory adapter: `client_credentials` with `private_key_jwt`, JWT (ES256) or opaque
 * tokens by resource, introspection with a client secret. One argument of JSON.
 */
const { port, issuer, clients, signingJwk, introspector } = JSON.parse(process.argv[2] ?? '{}')

const provider = new Provider(issuer, {
  clients: [
    ...clients.map((client: { id: string; publicJwk: object }) => ({
      client_id: client.id,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'RS256',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      jwks: { keys: [client.publicJwk] },
    })),
    {
      client_id: introspector.id,
      client_secret: introspector.secret,
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys: [signingJwk] },
  scopes: ['bench:read'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx: unknown, resource: string) => ({
        scope: 'bench:read',
        audience: resource,
        accessTokenTTL: 900,
        accessTokenFormat: resource.endsWith('opaque') ? 'opaque' : 'jwt',
        ...(resource.endsWith('opaque') ? {} : { jwt: { sign: { alg: 'ES256' } } }),
      }),
    },
  },
} as never)

provider.listen(port, '127.0.0.1')
