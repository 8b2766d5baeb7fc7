import { type RequestHandler, type Response, Router } from 'express'
import type { DirectoryServices, RotationServices, SealingServices } from '../directory/services.ts'
import { Refusal } from '../errors.ts'
import { toRefusal } from '../http/fault.ts'
import { parseBody, readBody } from '../http/json-body.ts'
import { LINES_TYPE, sendLines } from '../http/lines.ts'
import { allowOnly } from '../http/methods.ts'
import { noteRefusal } from '../http/request-context.ts'
import type { Tarpit } from '../http/tarpit.ts'
import { createValidation } from '../http/validation.ts'
import { type AuthenticationServices, authenticate, callerOf, requirePermission } from './authenticate.ts'
import { requireIds } from './ids.ts'
import { answerProblems } from './problem.ts'
import type { Route } from './route.ts'
import {
  createAdministrator,
  deleteAdministrator,
  getAdministrator,
  inviteAgain,
  listAdministrators,
  updateAdministrator,
} from './routes/administrators.ts'
import { listAuditEvents } from './routes/audit-events.ts'
import { explainAdministrator, explainMyself, explainServiceAccount } from './routes/effective-permissions.ts'
import { createGroup, deleteGroup, getGroup, listGroups, updateGroup } from './routes/groups.ts'
import {
  deleteIdentityProvider,
  getIdentityProvider,
  putIdentityProvider,
} from './routes/identity-provider.ts'
import { createKey, getKey, listKeys, revokeKey, updateKey } from './routes/keys.ts'
import { getMe } from './routes/me.ts'
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  listOrganizations,
  updateOrganization,
} from './routes/organizations.ts'
import { listPermissions } from './routes/permissions.ts'
import {
  createResourceServerKey,
  getResourceServerKey,
  listResourceServerKeys,
  revokeResourceServerKey,
  updateResourceServerKey,
} from './routes/resource-server-keys.ts'
import {
  createResourceServer,
  deleteResourceServer,
  getResourceServer,
  listResourceServers,
  updateResourceServer,
} from './routes/resource-servers.ts'
import { createRole, deleteRole, getRole, listRoles, updateRole } from './routes/roles.ts'
import { createSecret, deleteSecret, listSecrets } from './routes/secrets.ts'
import {
  createServiceAccount,
  deleteServiceAccount,
  getServiceAccount,
  listServiceAccounts,
  updateServiceAccount,
} from './routes/service-accounts.ts'
import { endAllSessions, endSession, listSessions } from './routes/sessions.ts'
import { listSigningKeys, revokeSigningKey, rotateSigningKeys } from './routes/signing-keys.ts'
import { listTokens, revokeAllTokens, revokeToken } from './routes/tokens.ts'

const ACCOUNTS = '/organizations/:org/service-accounts'
const ACCOUNT = `${ACCOUNTS}/:acc`
const ADMINISTRATORS = '/organizations/:org/administrators'
const ADMINISTRATOR = `${ADMINISTRATORS}/:acc`
const IDENTITY_PROVIDER = '/organizations/:org/identity-provider'
const ROLES = '/organizations/:org/roles'
const GROUPS = '/organizations/:org/groups'
const RESOURCE_SERVER = '/resource-servers/:rs'

/** The whole management API: what is called, what it takes to call it, and who answers. */
export const ROUTES: readonly Route[] = [
  ['GET', '/me', 'any account', getMe],
  ['GET', '/me/effective-permissions', 'any account', explainMyself],

  ['GET', '/organizations', 'organizations:read', listOrganizations],
  ['POST', '/organizations', 'organizations:manage', createOrganization],
  ['GET', '/organizations/:org', 'organizations:read', getOrganization],
  ['PATCH', '/organizations/:org', 'organizations:manage', updateOrganization],
  ['DELETE', '/organizations/:org', 'organizations:manage', deleteOrganization],
  ['GET', '/organizations/:org/permissions', 'any account', listPermissions],
  ['GET', '/organizations/:org/audit-events', 'audit:read', listAuditEvents],

  ['GET', IDENTITY_PROVIDER, 'organizations:read', getIdentityProvider],
  ['PUT', IDENTITY_PROVIDER, 'organizations:manage', putIdentityProvider],
  ['DELETE', IDENTITY_PROVIDER, 'organizations:manage', deleteIdentityProvider],

  ['GET', ADMINISTRATORS, 'administrators:read', listAdministrators],
  ['POST', ADMINISTRATORS, 'administrators:manage', createAdministrator],
  ['GET', ADMINISTRATOR, 'administrators:read', getAdministrator],
  ['PATCH', ADMINISTRATOR, 'administrators:manage', updateAdministrator],
  ['DELETE', ADMINISTRATOR, 'administrators:manage', deleteAdministrator],
  ['GET', `${ADMINISTRATOR}/effective-permissions`, 'administrators:read', explainAdministrator],
  ['POST', `${ADMINISTRATOR}/invitation`, 'administrators:manage', inviteAgain],
  ['GET', `${ADMINISTRATOR}/sessions`, 'administrators:read', listSessions],
  ['DELETE', `${ADMINISTRATOR}/sessions`, 'administrators:manage', endAllSessions],
  ['DELETE', `${ADMINISTRATOR}/sessions/:ses`, 'administrators:manage', endSession],

  ['GET', ACCOUNTS, 'service_accounts:read', listServiceAccounts],
  ['POST', ACCOUNTS, 'service_accounts:manage', createServiceAccount],
  ['GET', ACCOUNT, 'service_accounts:read', getServiceAccount],
  ['PATCH', ACCOUNT, 'service_accounts:manage', updateServiceAccount],
  ['DELETE', ACCOUNT, 'service_accounts:manage', deleteServiceAccount],
  ['GET', `${ACCOUNT}/effective-permissions`, 'service_accounts:read', explainServiceAccount],

  ['GET', `${ACCOUNT}/keys`, 'service_accounts:read', listKeys],
  ['POST', `${ACCOUNT}/keys`, 'service_accounts:manage', createKey],
  ['GET', `${ACCOUNT}/keys/:key`, 'service_accounts:read', getKey],
  ['PATCH', `${ACCOUNT}/keys/:key`, 'service_accounts:manage', updateKey],
  ['DELETE', `${ACCOUNT}/keys/:key`, 'service_accounts:manage', revokeKey],

  ['GET', `${ACCOUNT}/tokens`, 'service_accounts:read', listTokens],
  ['DELETE', `${ACCOUNT}/tokens`, 'service_accounts:manage', revokeAllTokens],
  ['DELETE', `${ACCOUNT}/tokens/:tok`, 'service_accounts:manage', revokeToken],

  ['GET', ROLES, 'roles:read', listRoles],
  ['POST', ROLES, 'roles:manage', createRole],
  ['GET', `${ROLES}/:role`, 'roles:read', getRole],
  ['PATCH', `${ROLES}/:role`, 'roles:manage', updateRole],
  ['DELETE', `${ROLES}/:role`, 'roles:manage', deleteRole],

  ['GET', GROUPS, 'groups:read', listGroups],
  ['POST', GROUPS, 'groups:manage', createGroup],
  ['GET', `${GROUPS}/:grp`, 'groups:read', getGroup],
  ['PATCH', `${GROUPS}/:grp`, 'groups:manage', updateGroup],
  ['DELETE', `${GROUPS}/:grp`, 'groups:manage', deleteGroup],

  ['GET', '/resource-servers', 'resource_servers:read', listResourceServers],
  ['POST', '/resource-servers', 'resource_servers:manage', createResourceServer],
  ['GET', RESOURCE_SERVER, 'resource_servers:read', getResourceServer],
  ['PATCH', RESOURCE_SERVER, 'resource_servers:manage', updateResourceServer],
  ['DELETE', RESOURCE_SERVER, 'resource_servers:manage', deleteResourceServer],
  ['GET', `${RESOURCE_SERVER}/secrets`, 'resource_servers:read', listSecrets],
  ['POST', `${RESOURCE_SERVER}/secrets`, 'resource_servers:manage', createSecret],
  ['DELETE', `${RESOURCE_SERVER}/secrets/:id`, 'resource_servers:manage', deleteSecret],
  ['GET', `${RESOURCE_SERVER}/keys`, 'resource_servers:read', listResourceServerKeys],
  ['POST', `${RESOURCE_SERVER}/keys`, 'resource_servers:manage', createResourceServerKey],
  ['GET', `${RESOURCE_SERVER}/keys/:key`, 'resource_servers:read', getResourceServerKey],
  ['PATCH', `${RESOURCE_SERVER}/keys/:key`, 'resource_servers:manage', updateResourceServerKey],
  ['DELETE', `${RESOURCE_SERVER}/keys/:key`, 'resource_servers:manage', revokeResourceServerKey],

  ['GET', '/signing-keys', 'signing_keys:read', listSigningKeys],
  ['POST', '/signing-keys/rotate', 'signing_keys:manage', rotateSigningKeys],
  ['POST', '/signing-keys/:sig/revoke', 'signing_keys:manage', revokeSigningKey],
]

export type ManagementOptions = DirectoryServices &
  SealingServices &
  RotationServices &
  AuthenticationServices & {
    /** Also check our own answers against openapi.yaml; on in the tests. */
    validateResponses: boolean
    tarpit: Tarpit
    /** Called for every error that is not a refusal: a bug. */
    onBug: (error: unknown, res: Response) => void
  }

/**
 * The management API, to be mounted at `/api/v1` below the issuer's path. Each request goes the same way: who
 * calls, may they, can it be read, is it as the contract says; then the directory's rule, then the answer.
 */
export function createManagementRouter(options: ManagementOptions): Router {
  const router = Router({ caseSensitive: true, strict: true })
  const identify = authenticate(options)
  const validate = createValidation({ ...options, path: '/api/v1' })
  for (const path of new Set(ROUTES.map(([, routePath]) => routePath))) {
    const route = router.route(path)
    const served = ROUTES.filter(([, routePath]) => routePath === path)
    for (const [method, , permission, handle] of served) {
      const permit = permission === 'any account' ? [] : [requirePermission(permission)]
      const name = method.toLowerCase() as Lowercase<typeof method>
      route[name](readBody, identify, ...permit, requireIds, parseBody, validate, answer(options, handle))
    }
    route.all(allowOnly(...served.flatMap(([method]) => (method === 'GET' ? [method, 'HEAD'] : [method]))))
  }
  router.use((req) => {
    throw new Refusal('not_found', { path: req.path })
  })
  router.use(answerProblems(options))
  return router
}

function answer(options: ManagementOptions, handle: Route[3]): RequestHandler {
  return async (req, res) => {
    const { actor, token } = callerOf(res)
    const params = req.params as Record<string, string>
    const prefersLines = req.accepts('application/json', LINES_TYPE) === LINES_TYPE
    const { query, body } = req
    const reply = await handle({ services: options, actor, token, params, query, body, prefersLines })
    // Answers may hold secrets that are shown once, and all of them are for this caller alone.
    res.setHeader('Cache-Control', 'no-store')
    if (reply.status === 201) res.setHeader('Location', `${req.baseUrl}${reply.location}`)
    res.status(reply.status)
    if (reply.status === 204) res.end()
    else if ('body' in reply) res.json(reply.body)
    else await sendLines(res, reply.lines, (error) => noteLateFailure(error, res, options))
  }
}

/** Too late for a problem: the status is sent. */
function noteLateFailure(error: unknown, res: Response, { onBug }: ManagementOptions): void {
  const refusal = toRefusal(error)
  if (refusal === undefined) onBug(error, res)
  else noteRefusal(res, refusal)
}
