import { ASSERTION_ALGORITHMS } from '../assertion/keys.ts'
import { managementIdentifier } from '../directory/installation.ts'
import { MANAGEMENT_PERMISSIONS } from '../directory/management-permissions.ts'
import { PROOF_ALGORITHMS } from '../possession/proof-key.ts'
import { SIGNING_ALGORITHMS } from '../signing/lifecycle.ts'
import { TOKEN_ENDPOINT_METHODS } from './client-authentication.ts'
import { GRANTS } from './grants/index.ts'
import { INTROSPECTION_METHODS } from './introspection-caller.ts'
import { REVOCATION_METHODS } from './revocation.ts'

/** Where the endpoints are, as clients must name them. All configured, none taken from a request. */
export type Endpoints = {
  issuer: string
  tokenEndpoint: string
  introspectionEndpoint: string
  revocationEndpoint: string
  jwksUri: string
}

/** The endpoints of an issuer. */
export function toEndpoints(issuer: string): Endpoints {
  return {
    issuer,
    tokenEndpoint: `${issuer}/oauth/token`,
    introspectionEndpoint: `${issuer}/oauth/introspect`,
    revocationEndpoint: `${issuer}/oauth/revoke`,
    jwksUri: `${issuer}/.well-known/jwks.json`,
  }
}

/**
 * Authorization server metadata (RFC 8414 §2). It says what is built, and set up, and nothing else.
 * `response_types_supported` is required although there is no authorization endpoint: `none` is the registered
 * value that promises nothing.
 */
export function toMetadata(
  endpoints: Endpoints,
  options: { takesCertificates: boolean },
): Record<string, unknown> {
  return {
    issuer: endpoints.issuer,
    token_endpoint: endpoints.tokenEndpoint,
    introspection_endpoint: endpoints.introspectionEndpoint,
    revocation_endpoint: endpoints.revocationEndpoint,
    jwks_uri: endpoints.jwksUri,
    response_types_supported: ['none'],
    grant_types_supported: GRANTS.map((grant) => grant.grantType),
    token_endpoint_auth_methods_supported: TOKEN_ENDPOINT_METHODS,
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_endpoint_auth_methods_supported: INTROSPECTION_METHODS,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_signing_alg_values_supported: SIGNING_ALGORITHMS,
    revocation_endpoint_auth_methods_supported: REVOCATION_METHODS,
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    dpop_signing_alg_values_supported: PROOF_ALGORITHMS,
    ...(options.takesCertificates && { tls_client_certificate_bound_access_tokens: true }),
    service_documentation: `${endpoints.issuer}/docs`,
    protected_resources: [managementIdentifier(endpoints.issuer)],
  }
}

/** Protected resource metadata of the management API (RFC 9728 §2). What it has no value for is left out. */
export function toResourceMetadata({ issuer }: Endpoints): Record<string, unknown> {
  return {
    resource: managementIdentifier(issuer),
    resource_name: 'Countersign management API',
    authorization_servers: [issuer],
    scopes_supported: MANAGEMENT_PERMISSIONS.map(({ name }) => name),
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: PROOF_ALGORITHMS,
    resource_documentation: `${issuer}/docs`,
  }
}
