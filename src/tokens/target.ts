import { GROUPS_SCOPE } from '../database/queries/groups.ts'
import type { ResourceServerAccess } from '../database/queries/issuers.ts'
import { Refusal } from '../errors.ts'

/** What a token is for: one resource server, and the scope there. */
export type Target = { resourceServer: ResourceServerAccess; scope: readonly string[] }

/**
 * Decides audience and scope of a token: the resource server that `resource` names (RFC 8707 §2), or without
 * it the only one that fits the requested scope; then the requested scope, or all that the account has there.
 * `groups` may be asked for besides permissions, anywhere.
 * `access` is what the account may do, `resources` the values of the form, in order.
 * Throws Refusal `target_…` or `scope_not_granted`. Nothing is dropped silently (RFC 6749 §3.3).
 */
export function resolveTarget(
  access: readonly ResourceServerAccess[],
  resources: readonly string[],
  scope: readonly string[] | undefined,
): Target {
  const permissions = scope && requirePermissions(scope)
  const resourceServer =
    resources.length > 0 ? findNamed(access, resources) : findOnlyFitting(access, permissions)
  if (scope === undefined || permissions === undefined)
    return { resourceServer, scope: resourceServer.permissions }
  const missing = permissions.filter((name) => !resourceServer.permissions.includes(name))
  if (missing.length === 0) return { resourceServer, scope }
  throw new Refusal('scope_not_granted', {
    missing,
    granted: resourceServer.permissions,
    audience: resourceServer.identifier,
  })
}

/** A token that allows nothing would still be active for a resource server that looks no further. */
function requirePermissions(scope: readonly string[]): string[] {
  const permissions = scope.filter((name) => name !== GROUPS_SCOPE)
  if (permissions.length > 0) return permissions
  throw new Refusal(
    'scope_not_granted',
    { requested: scope },
    { hint: 'Ask for at least one permission besides groups.' },
  )
}

/** An unknown identifier and one that the account has nothing on are answered alike: the registry is private. */
function findNamed(
  access: readonly ResourceServerAccess[],
  resources: readonly string[],
): ResourceServerAccess {
  for (const resource of resources) assertAbsoluteUri(resource)
  const [resource, ...others] = resources
  if (others.length > 0) {
    throw new Refusal('target_ambiguous', { resources }, { hint: 'Ask for one resource at a time.' })
  }
  const named = access.find((candidate) => candidate.identifier === resource)
  if (named === undefined)
    throw new Refusal('target_not_allowed', { resource, allowed: access.map((entry) => entry.identifier) })
  return named
}

function findOnlyFitting(
  access: readonly ResourceServerAccess[],
  scope: readonly string[] | undefined,
): ResourceServerAccess {
  const fitting = access.filter((candidate) =>
    (scope ?? []).every((name) => candidate.permissions.includes(name)),
  )
  const [only, ...others] = fitting
  if (only === undefined) {
    throw new Refusal(
      'scope_not_granted',
      { requested: scope ?? [], resourceServers: access.map((entry) => entry.identifier) },
      access.length === 0
        ? { hint: 'The account has no permission yet. Give it a role or a permission.' }
        : {},
    )
  }
  if (others.length === 0) return only
  throw new Refusal(
    'target_ambiguous',
    { fitting: fitting.map((entry) => entry.identifier) },
    { hint: 'Several resource servers fit. Name one with the resource parameter.' },
  )
}

/** RFC 8707 §2: an absolute URI (RFC 3986 §4.3) without a fragment. */
function assertAbsoluteUri(resource: string): void {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:[^\s#]+$/.test(resource) && URL.canParse(resource)) return
  throw new Refusal('target_malformed', { resource: resource.slice(0, 300) })
}
