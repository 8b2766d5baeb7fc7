import { createClientCertificate } from '../support/client-certificate.ts'
import { type Fixture, must, type TestServer } from '../support/server.ts'

/** As the configurations of the guides have them. */
export const RESOURCE = 'https://api.example.com'
export const PERMISSIONS = ['invoices:read', 'invoices:write']

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** The resource server of the guides, as it is known to the authorization server. */
export type Invoices = {
  id: string
  secret: string
  /** An account that may use this API, and nothing else. */
  createCaller(permissions?: readonly string[]): Promise<Fixture>
  toPermissions(names: readonly string[]): { resource_server_id: string; permission: string }[]
}

export async function createInvoices(server: TestServer): Promise<Invoices> {
  const { id } = await must(
    server.api('POST', '/resource-servers', {
      identifier: RESOURCE,
      name: 'Invoices',
      permissions: PERMISSIONS.map((name) => ({ name, description: name })),
    }),
  )
  const { client_secret: secret } = await must(server.api('POST', `/resource-servers/${id}/secrets`, {}))
  const toPermissions = (names: readonly string[]) =>
    names.map((permission) => ({ resource_server_id: id, permission }))
  return {
    id,
    secret,
    toPermissions,
    async createCaller(names = PERMISSIONS) {
      const created = await server.createFixture({ algorithm: 'ES256' })
      await must(server.api('PATCH', created.accountPath, { permissions: toPermissions(names) }))
      return created
    },
  }
}

/** A token that is worth something only with a certificate; the server must trust this machine to tell one. */
export async function getTokenBoundToCertificate(server: TestServer, caller: Fixture): Promise<string> {
  const { header } = await createClientCertificate()
  const form = { grant_type: JWT_BEARER, assertion: await caller.assertion() }
  return (await must(server.post('/oauth/token', form, { 'client-cert': header }))).access_token
}
