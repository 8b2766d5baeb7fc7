/**
 * What is fuzzed, with its part of all inputs. `pure` functions take microseconds per input, `served` ones are
 * whole requests to a server on a real PostgreSQL.
 */
export const TARGETS = {
  pure: {
    'form parser': 60,
    'media types': 10,
    'scope grammar': 60,
    'requested scope': 20,
    'JWT parser against jose': 100,
    'JWT text': 60,
    claims: 60,
    'API token format': 40,
    'Authorization header': 40,
    'JSON parser': 60,
    'public keys': 30,
    'list cursors': 10,
    'DPoP proof': 60,
    'request targets': 30,
  },
  served: {
    'token request': 60,
    'token request, scope': 30,
    'token request, any bytes': 30,
    'assertion, mutated': 60,
    'assertion, one bit': 20,
    'assertion, any claims under a good signature': 70,
    'assertion, any text': 20,
    'access token, mutated': 30,
    'client authentication': 40,
    'DPoP proof, mutated': 40,
    introspection: 30,
    revocation: 30,
    'forward auth': 30,
    'management API': 220,
    'sign-in': 40,
    console: 60,
  },
} as const

export type Target = keyof typeof TARGETS.pure | keyof typeof TARGETS.served
