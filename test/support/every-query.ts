import type { Db, Pool, Trx } from '../../src/database/connect.ts'
import * as accessQueries from '../../src/database/queries/access.ts'
import * as accountHealth from '../../src/database/queries/account-health.ts'
import * as accounts from '../../src/database/queries/accounts.ts'
import * as administrators from '../../src/database/queries/administrators.ts'
import * as apiTokens from '../../src/database/queries/api-tokens.ts'
import * as auditChain from '../../src/database/queries/audit-chain.ts'
import * as auditEvents from '../../src/database/queries/audit-events.ts'
import * as credentials from '../../src/database/queries/credentials.ts'
import * as forecast from '../../src/database/queries/forecast.ts'
import * as grantRecords from '../../src/database/queries/grant-records.ts'
import * as groups from '../../src/database/queries/groups.ts'
import * as holders from '../../src/database/queries/holders.ts'
import * as identityProviders from '../../src/database/queries/identity-providers.ts'
import * as callers from '../../src/database/queries/introspection-callers.ts'
import * as invitations from '../../src/database/queries/invitations.ts'
import * as issuedTokens from '../../src/database/queries/issued-tokens.ts'
import * as issuers from '../../src/database/queries/issuers.ts'
import * as keys from '../../src/database/queries/keys.ts'
import * as liveTokens from '../../src/database/queries/live-tokens.ts'
import * as organizationEnd from '../../src/database/queries/organization-end.ts'
import * as organizationUse from '../../src/database/queries/organization-use.ts'
import * as organizations from '../../src/database/queries/organizations.ts'
import * as permissions from '../../src/database/queries/permissions.ts'
import * as resourceServerKeys from '../../src/database/queries/resource-server-keys.ts'
import * as resourceServerUse from '../../src/database/queries/resource-server-use.ts'
import * as resourceServers from '../../src/database/queries/resource-servers.ts'
import * as roles from '../../src/database/queries/roles.ts'
import * as sessions from '../../src/database/queries/sessions.ts'
import * as setUpLink from '../../src/database/queries/set-up-link.ts'
import * as tokenTallies from '../../src/database/queries/token-tallies.ts'
import * as usedJtis from '../../src/database/queries/used-jtis.ts'
import * as wrappedSecrets from '../../src/database/queries/wrapped-secrets.ts'

/** One way to call a query: in a transaction that is rolled back, or on what it wants to have instead. */
export type QueryCall = (on: { trx: Trx; db: Db; pool: Pool }) => Promise<unknown>

/** What the database of test/database/query-plans.test.ts is full of, and what of it the calls below ask for. */
export const ASKED = {
  organization: 'org_7',
  account: 'acc_1007',
  administrator: 'adm_1007',
  key: 'key_1007',
  role: 'role_7',
  group: 'grp_7',
  resourceServer: 'rs_few',
  permission: 'few',
  email: 'adm1007@example.test',
  digest: Buffer.alloc(32, 7),
} as const

/**
 * Every exported function of src/database/queries/ that sends something to the database, by file and name, called at
 * least once, and once more for each condition that makes another statement of it.
 */
export function everyQuery(NOW: number): Record<string, QueryCall[]> {
  const { organization: ORG, account: ACC, administrator: ADM, key: KEY, role: ROLE, group: GROUP } = ASKED
  const { resourceServer: RS, permission: PERMISSION, email: EMAIL, digest: DIGEST } = ASKED
  const now = new Date(NOW)
  const page = { limit: 50, before: undefined }
  const next = { limit: 50, before: 'zzz' }
  const held = { resourceServerId: RS, permission: PERMISSION }
  const kinds = ['service_account', 'administrator'] as const
  const liveness = { now, seenSince: new Date(NOW - 3_600_000) }
  const review = {
    unusedSince: undefined,
    keyExpires: undefined,
    withoutOwner: false,
    search: undefined,
    status: undefined,
  }
  const trail = {
    actorId: undefined,
    targetId: undefined,
    action: undefined,
    requestId: undefined,
    from: undefined,
    to: undefined,
  }
  const issued = {
    accountId: undefined,
    tokenId: undefined,
    requestId: undefined,
    delegatedSubject: undefined,
    from: Number.NEGATIVE_INFINITY,
    to: Number.POSITIVE_INFINITY,
  }
  const issuedPage = { ...page, beforeTime: undefined }
  const policy = {
    profile: 'rfc7523',
    requireJti: true,
    maxLifetimeSeconds: 3600,
    extraAudiences: [],
    clientAssertionAudience: 'issuer',
    requireDpop: false,
  } as const
  const since = { ip: '203.0.113.7', since: new Date(NOW - 86_400_000) }
  const jti = { owner: ACC, digest: DIGEST, expiresAt: NOW }
  const identity = { organizationId: ORG, issuer: 'https://idp.example', subject: 's1007' }
  const publicKey = { kty: 'OKP', crv: 'Ed25519', x: 'x' } as const
  const provider = {
    organizationId: ORG,
    issuer: 'https://idp.example',
    clientId: 'c',
    wrappedClientSecret: null,
    emailDomains: [],
    createdAt: now,
    updatedAt: now,
  }
  const grant = {
    id: 'tok_new',
    accountId: ACC,
    keyId: KEY,
    jti: 'jti_new',
    assertionExpiresAt: NOW,
    resourceServerId: RS,
    subject: ACC,
    scope: 'few',
    tokenFormat: 'jwt',
    tokenDigest: null,
    issuedAt: NOW,
    expiresAt: NOW + 900_000,
    clientIp: null,
    userAgent: null,
    requestId: 'req_new',
    quota: 100,
    confirmation: null,
    proof: { owner: 'thumbprint', digest: DIGEST, expiresAt: NOW },
    signingAlgorithm: 'ES256',
  } as const
  return {
    'access.findAccess': [({ trx }) => accessQueries.findAccess(trx, ACC)],
    'access.listEffectivePermissions': [({ trx }) => accessQueries.listEffectivePermissions(trx, ACC)],
    'access.explainPermissions': [
      ({ trx }) => accessQueries.explainPermissions(trx, ACC, { limit: 50, after: undefined }),
      ({ trx }) => accessQueries.explainPermissions(trx, ACC, { limit: 50, after: held }),
    ],
    'access.giveRoles': [({ trx }) => accessQueries.giveRoles(trx, ACC, [ROLE, 'role_8'])],
    'access.takeRoles': [({ trx }) => accessQueries.takeRoles(trx, ACC, [ROLE, 'role_8'])],
    'access.giveGroupAccess': [
      ({ trx }) => accessQueries.giveGroupAccess(trx, ACC, [{ groupId: GROUP, access: 'manager' }]),
    ],
    'access.takeGroupAccess': [({ trx }) => accessQueries.takeGroupAccess(trx, ACC, [GROUP])],
    'access.setAccountAccess': [
      ({ trx }) =>
        accessQueries.setAccountAccess(trx, ACC, { groupsAdministrator: 'viewer', delegation: null }),
    ],
    'access.setDelegation': [
      ({ trx }) => accessQueries.setDelegation(trx, ACC, { subjects: ['*'], permissions: [held] }),
    ],

    'account-health.summarizeKeys': [({ trx }) => accountHealth.summarizeKeys(trx, [ACC, 'acc_2007'], now)],
    'account-health.listRoleNames': [({ trx }) => accountHealth.listRoleNames(trx, [ROLE, 'role_8'])],

    'accounts.findServiceAccount': [({ trx }) => accounts.findServiceAccount(trx, ORG, ACC)],
    'accounts.findServiceAccountBySlug': [({ trx }) => accounts.findServiceAccountBySlug(trx, ORG, 'a1007')],
    'accounts.listServiceAccounts': [
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, review, page),
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, review, next),
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, { ...review, search: 'nobody' }, next),
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, { ...review, status: 'disabled' }, next),
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, { ...review, withoutOwner: true }, next),
      ({ trx }) => accounts.listServiceAccounts(trx, ORG, { ...review, unusedSince: now }, next),
      ({ trx }) =>
        accounts.listServiceAccounts(
          trx,
          ORG,
          { ...review, keyExpires: { after: now, until: new Date(NOW + 86_400_000) } },
          next,
        ),
    ],
    'accounts.findActiveAccount': [({ trx }) => accounts.findActiveAccount(trx, ACC)],
    'accounts.lockAccount': [({ trx }) => accounts.lockAccount(trx, ACC)],
    'accounts.insertServiceAccount': [
      ({ trx }) =>
        accounts.insertServiceAccount(trx, {
          id: 'acc_new',
          organizationId: ORG,
          name: 'n',
          slug: 'new',
          email: 'new@example.test',
          description: '',
          ownerContact: null,
          assertionPolicy: { ...policy, extraAudiences: [] },
          tokenRequestsPerMinute: null,
          createdAt: now,
          createdBy: ADM,
        }),
    ],
    'accounts.updateAccount': [
      ({ trx }) => accounts.updateAccount(trx, ACC, { status: 'disabled' }, { endTokens: true, now }),
    ],

    'administrators.findAdministrator': [({ trx }) => administrators.findAdministrator(trx, ORG, ADM)],
    'administrators.findAdmissibleAdministrator': [
      ({ trx }) => administrators.findAdmissibleAdministrator(trx, ADM),
    ],
    'administrators.findAdministratorByEmail': [
      ({ trx }) => administrators.findAdministratorByEmail(trx, ORG, EMAIL),
    ],
    'administrators.listAdministrators': [
      ({ trx }) => administrators.listAdministrators(trx, ORG, page),
      ({ trx }) => administrators.listAdministrators(trx, ORG, next),
    ],
    'administrators.listAdministratorIds': [({ trx }) => administrators.listAdministratorIds(trx, ORG)],
    'administrators.insertAdministrator': [
      ({ trx }) =>
        administrators.insertAdministrator(trx, {
          id: 'adm_new',
          organizationId: ORG,
          name: 'n',
          email: 'new@example.test',
          assertionPolicy: { ...policy, extraAudiences: [] },
          createdAt: now,
          createdBy: ADM,
        }),
    ],

    'api-tokens.findApiTokens': [
      ({ pool }) =>
        apiTokens.findApiTokens(pool, NOW, [
          { keyId: KEY, digest: DIGEST, resourceServer: RS, ip: null, userAgent: null },
        ]),
    ],

    'audit-chain.appendAuditEvents': [
      ({ trx }) =>
        auditChain.appendAuditEvents(trx, [
          {
            organizationId: ORG,
            at: now,
            actorId: ADM,
            actorKind: 'administrator',
            actorName: 'n',
            action: 'service_account.created',
            targetId: ACC,
            targetKind: 'service_account',
            targetName: 'n',
            changes: null,
            reason: null,
            ip: null,
            userAgent: null,
            requestId: null,
            count: null,
          },
        ]),
    ],
    'audit-chain.readChain': [
      ({ db }) =>
        auditChain.readChain(db, ORG, async ({ events }) => {
          for await (const _event of events) break
        }),
    ],
    'audit-chain.findHead': [({ trx }) => auditChain.findHead(trx, ORG)],

    'audit-events.listAuditEvents': [
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, trail, page),
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, trail, next),
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, { ...trail, actorId: ADM }, next),
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, { ...trail, targetId: ACC }, next),
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, { ...trail, action: 'key.revoked' }, next),
      ({ trx }) => auditEvents.listAuditEvents(trx, ORG, { ...trail, requestId: 'req_7' }, next),
      ({ trx }) =>
        auditEvents.listAuditEvents(trx, ORG, { ...trail, from: liveness.seenSince, to: now }, next),
    ],
    'audit-events.listAccountEvents': [
      ({ trx }) => auditEvents.listAccountEvents(trx, { organizationId: ORG, accountId: ACC }, page),
      ({ trx }) => auditEvents.listAccountEvents(trx, { organizationId: ORG, accountId: ACC }, next),
    ],

    'credentials.findSignInCandidates': [
      ({ trx }) => credentials.findSignInCandidates(trx, { email: EMAIL, organization: undefined }, since),
      ({ trx }) => credentials.findSignInCandidates(trx, { email: EMAIL, organization: 'org-7' }, since),
    ],
    'credentials.isKnownAddress': [({ trx }) => credentials.isKnownAddress(trx, ADM, since)],
    'credentials.findCredentials': [({ trx }) => credentials.findCredentials(trx, ADM)],
    'credentials.lockCredentials': [({ trx }) => credentials.lockCredentials(trx, ADM)],
    'credentials.setPasswordHash': [({ trx }) => credentials.setPasswordHash(trx, ADM, null, now)],
    'credentials.rehashPassword': [
      ({ trx }) => credentials.rehashPassword(trx, ADM, { before: 'h', after: 'i' }),
    ],
    'credentials.noteSignIn': [({ trx }) => credentials.noteSignIn(trx, ADM, now)],
    'credentials.storeTotpSecret': [({ trx }) => credentials.storeTotpSecret(trx, ADM, DIGEST)],
    'credentials.confirmTotp': [({ trx }) => credentials.confirmTotp(trx, ADM, now)],
    'credentials.useTotpStep': [({ trx }) => credentials.useTotpStep(trx, ADM, 7)],
    'credentials.removeTotp': [({ trx }) => credentials.removeTotp(trx, ADM)],
    'credentials.replaceRecoveryCodes': [({ trx }) => credentials.replaceRecoveryCodes(trx, ADM, [DIGEST])],
    'credentials.useRecoveryCode': [({ trx }) => credentials.useRecoveryCode(trx, ADM, DIGEST)],
    'credentials.deleteCredentials': [({ trx }) => credentials.deleteCredentials(trx, ADM)],

    'forecast.forecastGrant': [
      ({ trx }) =>
        forecast.forecastGrant(trx, { accountId: ACC, jti: 'j', assertionExpiresAt: NOW, now: NOW }),
    ],

    'grant-records.recordGrants': [({ pool }) => grantRecords.recordGrants(pool, NOW, [grant])],
    'grant-records.findTokens': [
      ({ pool }) =>
        grantRecords.findTokens(pool, NOW, [{ accountId: ACC, id: 'tok_7', signingKeyId: 'sig_1' }]),
      ({ pool }) => grantRecords.findTokens(pool, NOW, [{ digest: DIGEST }]),
    ],
    'grant-records.listLiveTokens': [
      ({ trx }) => grantRecords.listLiveTokens(trx, ACC, { now: NOW, ...page }),
      ({ trx }) => grantRecords.listLiveTokens(trx, ACC, { now: NOW, ...next }),
    ],
    'grant-records.findLiveToken': [({ trx }) => grantRecords.findLiveToken(trx, ACC, 'tok_7', NOW)],
    'grant-records.countLiveTokens': [
      ({ trx }) => grantRecords.countLiveTokens(trx, ACC, NOW),
      ({ trx }) => grantRecords.countLiveTokens(trx, ACC, NOW, KEY),
    ],
    'grant-records.findGrantRecord': [({ trx }) => grantRecords.findGrantRecord(trx, ACC, 'tok_7', NOW)],
    'grant-records.revokeToken': [({ trx }) => grantRecords.revokeToken(trx, ACC, 'tok_7', NOW)],

    'groups.findGroup': [({ trx }) => groups.findGroup(trx, ORG, GROUP)],
    'groups.findGroupByName': [({ trx }) => groups.findGroupByName(trx, ORG, 'Group 7')],
    'groups.listGroups': [
      ({ trx }) => groups.listGroups(trx, ORG, page),
      ({ trx }) => groups.listGroups(trx, ORG, next),
    ],
    'groups.listGroupsById': [({ trx }) => groups.listGroupsById(trx, ORG, [GROUP, 'grp_107'])],
    'groups.shareGroups': [({ trx }) => groups.shareGroups(trx, ORG, [GROUP, 'grp_107'])],
    'groups.lockGroup': [({ trx }) => groups.lockGroup(trx, ORG, GROUP)],
    'groups.listGroupMembers': [({ trx }) => groups.listGroupMembers(trx, GROUP)],
    'groups.insertGroup': [
      ({ trx }) =>
        groups.insertGroup(trx, {
          id: 'grp_new',
          organizationId: ORG,
          name: 'new',
          description: '',
          createdAt: now,
          createdBy: ADM,
        }),
    ],
    'groups.updateGroup': [({ trx }) => groups.updateGroup(trx, GROUP, { name: 'other' }, now)],
    'groups.deleteGroup': [({ trx }) => groups.deleteGroup(trx, GROUP)],
    'groups.findMemberships': [({ pool }) => groups.findMemberships(pool, [ACC], 51)],

    'holders.countHoldersOfRoles': [({ trx }) => holders.countHoldersOfRoles(trx, ORG, [ROLE, 'role_107'])],
    'holders.listRoleHolders': [
      ({ trx }) => holders.listRoleHolders(trx, { organizationId: ORG, roleId: ROLE, kinds }, next),
    ],
    'holders.countGroupAccess': [({ trx }) => holders.countGroupAccess(trx, [GROUP, 'grp_107'])],
    'holders.listGroupHolders': [
      ({ trx }) => holders.listGroupHolders(trx, { organizationId: ORG, groupId: GROUP, kinds }, next),
    ],
    'holders.listGroupsAdministrators': [
      ({ trx }) => holders.listGroupsAdministrators(trx, { organizationId: ORG, kinds }, next),
    ],
    'holders.countGroupsAdministrators': [({ trx }) => holders.countGroupsAdministrators(trx, ORG)],

    'identity-providers.findIdentityProvider': [
      ({ trx }) => identityProviders.findIdentityProvider(trx, ORG),
    ],
    'identity-providers.findIdentityProviderBySlug': [
      ({ trx }) => identityProviders.findIdentityProviderBySlug(trx, 'org-7'),
    ],
    'identity-providers.storeIdentityProvider': [
      ({ trx }) => identityProviders.storeIdentityProvider(trx, provider),
    ],
    'identity-providers.deleteIdentityProvider': [
      ({ trx }) => identityProviders.deleteIdentityProvider(trx, ORG),
    ],
    'identity-providers.deleteIdentitiesOfOthers': [
      ({ trx }) => identityProviders.deleteIdentitiesOfOthers(trx, ORG, 'https://other.example'),
    ],
    'identity-providers.findLinkedAccountId': [
      ({ trx }) => identityProviders.findLinkedAccountId(trx, identity),
    ],
    'identity-providers.linkAccount': [({ trx }) => identityProviders.linkAccount(trx, ADM, identity, now)],
    'identity-providers.unlinkAccount': [({ trx }) => identityProviders.unlinkAccount(trx, ADM)],

    'introspection-callers.findIntrospectionCallers': [
      ({ pool }) => callers.findIntrospectionCallers(pool, [{ named: { id: RS }, digest: DIGEST, now: NOW }]),
    ],

    'invitations.replaceInvitation': [
      ({ trx }) =>
        invitations.replaceInvitation(trx, {
          accountId: ADM,
          digest: DIGEST,
          expiresAt: now,
          createdAt: now,
          createdBy: ADM,
        }),
    ],
    'invitations.findInvitation': [({ trx }) => invitations.findInvitation(trx, DIGEST)],
    'invitations.takeInvitation': [({ trx }) => invitations.takeInvitation(trx, DIGEST)],
    'invitations.deleteInvitation': [({ trx }) => invitations.deleteInvitation(trx, ADM)],

    'issued-tokens.listIssuedTokens': [
      ({ trx }) => issuedTokens.listIssuedTokens(trx, ORG, issued, issuedPage),
      ({ trx }) => issuedTokens.listIssuedTokens(trx, ORG, issued, { ...next, beforeTime: NOW }),
      ({ trx }) => issuedTokens.listIssuedTokens(trx, ORG, { ...issued, accountId: ACC }, issuedPage),
      ({ trx }) => issuedTokens.listIssuedTokens(trx, ORG, { ...issued, tokenId: 'tok_7' }, issuedPage),
      ({ trx }) =>
        issuedTokens.listIssuedTokens(trx, ORG, { ...issued, delegatedSubject: 'user-7' }, issuedPage),
      ({ trx }) =>
        issuedTokens.listIssuedTokens(
          trx,
          ORG,
          { ...issued, requestId: 'req_7', from: NOW - 3_600_000, to: NOW },
          issuedPage,
        ),
    ],

    'issuers.findIssuers': [
      ({ pool }) => issuers.findIssuers(pool, [{ issuer: ACC, kid: KEY, subject: undefined, now: NOW }]),
      ({ pool }) =>
        issuers.findIssuers(pool, [
          { issuer: 'a1007@example.test', kid: undefined, subject: 'user@example.test', now: NOW },
        ]),
      ({ pool }) => issuers.findIssuers(pool, [{ issuer: ACC, apiToken: KEY, now: NOW }]),
    ],

    'keys.findKey': [({ trx }) => keys.findKey(trx, ACC, KEY)],
    'keys.findKeyByThumbprint': [({ trx }) => keys.findKeyByThumbprint(trx, ACC, 't1007')],
    'keys.listApiTokenHolders': [({ trx }) => keys.listApiTokenHolders(trx, ORG)],
    'keys.listKeys': [
      ({ trx }) => keys.listKeys(trx, ACC, { includeRevoked: false }, page),
      ({ trx }) => keys.listKeys(trx, ACC, { includeRevoked: true }, next),
    ],
    'keys.listKeyNames': [({ trx }) => keys.listKeyNames(trx, ACC, [KEY, 'key_2007'])],
    'keys.countKeys': [({ trx }) => keys.countKeys(trx, ACC)],
    'keys.lockKeyMaterial': [({ trx }) => keys.lockKeyMaterial(trx, 't1007')],
    'keys.insertKey': [
      ({ trx }) =>
        keys.insertKey(trx, {
          id: 'key_new',
          accountId: ACC,
          kid: 'key_new',
          name: 'n',
          type: 'public_key',
          algorithm: 'EdDSA',
          modulusLength: null,
          thumbprint: 'new',
          publicKey,
          secretDigest: null,
          obfuscatedToken: null,
          status: 'active',
          notBefore: null,
          expiresAt: null,
          createdAt: now,
          createdBy: ADM,
          updatedAt: now,
        }),
    ],
    'keys.updateKey': [
      ({ trx }) => keys.updateKey(trx, KEY, { status: 'disabled' }, { endTokens: true, now }),
    ],
    'keys.endTokensOfApiTokens': [({ trx }) => keys.endTokensOfApiTokens(trx, ORG, now)],
    'keys.revokeKeys': [({ trx }) => keys.revokeKeys(trx, ACC, now)],

    'live-tokens.countLiveTokensOfOrganization': [
      ({ trx }) => liveTokens.countLiveTokensOfOrganization(trx, ORG, NOW),
    ],
    'live-tokens.countLiveTokensOfResourceServer': [
      ({ trx }) => liveTokens.countLiveTokensOfResourceServer(trx, RS, NOW),
    ],

    'organization-end.endOrganizationContent': [
      ({ trx }) => organizationEnd.endOrganizationContent(trx, ORG, now),
    ],
    'organization-use.countContent': [({ trx }) => organizationUse.countContent(trx, ORG)],
    'organization-use.countLinked': [({ trx }) => organizationUse.countLinked(trx, ORG)],

    'organizations.findOrganization': [({ trx }) => organizations.findOrganization(trx, ORG)],
    'organizations.findOrganizationBySlug': [({ trx }) => organizations.findOrganizationBySlug(trx, 'org-7')],
    'organizations.lockOrganization': [({ trx }) => organizations.lockOrganization(trx, ORG)],
    'organizations.shareOrganization': [({ trx }) => organizations.shareOrganization(trx, ORG)],
    'organizations.findOperatorOrganization': [({ trx }) => organizations.findOperatorOrganization(trx)],
    'organizations.listOrganizations': [
      ({ trx }) => organizations.listOrganizations(trx, page),
      ({ trx }) => organizations.listOrganizations(trx, next),
    ],
    'organizations.insertOrganization': [
      ({ trx }) =>
        organizations.insertOrganization(trx, {
          id: 'org_new',
          slug: 'new',
          name: 'n',
          isOperator: false,
          createdAt: now,
          settings: {
            requireJti: true,
            maxKeyLifetimeDays: null,
            allowGeneratedKeys: true,
            allowApiTokens: true,
            maxKeysPerAccount: 10,
            tokenRequestsPerMinute: null,
          },
        }),
    ],
    'organizations.updateOrganization': [
      ({ trx }) => organizations.updateOrganization(trx, ORG, { name: 'n' }, { endTokens: true, now }),
    ],
    'organizations.hasActiveAccounts': [({ trx }) => organizations.hasActiveAccounts(trx, ORG)],

    'permissions.listPermissions': [
      ({ trx }) => permissions.listPermissions(trx, { limit: 50, after: undefined }),
      ({ trx }) => permissions.listPermissions(trx, { limit: 50, after: held }),
    ],
    'permissions.shareDefined': [({ trx }) => permissions.shareDefined(trx, [held])],
    'permissions.lockPermissions': [({ trx }) => permissions.lockPermissions(trx, RS, [PERMISSION])],
    'permissions.grantPermissions': [({ trx }) => permissions.grantPermissions(trx, ACC, [held])],
    'permissions.withdrawPermissions': [({ trx }) => permissions.withdrawPermissions(trx, ACC, [held])],
    'permissions.listActiveHolders': [({ trx }) => permissions.listActiveHolders(trx, ORG, held)],
    'permissions.listHolders': [({ trx }) => permissions.listHolders(trx, RS, [PERMISSION])],
    'permissions.lockHolders': [({ trx }) => permissions.lockHolders(trx, RS, [PERMISSION])],
    'permissions.definePermissions': [
      ({ trx }) => permissions.definePermissions(trx, RS, [{ name: 'new', description: '' }]),
    ],
    'permissions.describePermission': [
      ({ trx }) => permissions.describePermission(trx, RS, { name: PERMISSION, description: 'd' }),
    ],
    'permissions.removePermissions': [({ trx }) => permissions.removePermissions(trx, RS, [PERMISSION])],

    'resource-server-keys.findCallers': [
      ({ pool }) =>
        resourceServerKeys.findCallers(pool, [{ resourceServerId: RS, kid: undefined, now: NOW }]),
    ],
    'resource-server-keys.listResourceServerKeys': [
      ({ trx }) => resourceServerKeys.listResourceServerKeys(trx, RS, { includeRevoked: false }, next),
    ],
    'resource-server-keys.findResourceServerKey': [
      ({ trx }) => resourceServerKeys.findResourceServerKey(trx, RS, 'key_1'),
    ],
    'resource-server-keys.countResourceServerKeys': [
      ({ trx }) => resourceServerKeys.countResourceServerKeys(trx, RS),
    ],

    'resource-server-use.countHolders': [
      ({ trx }) => resourceServerUse.countHolders(trx, RS),
      ({ trx }) => resourceServerUse.countHolders(trx, RS, PERMISSION),
    ],
    'resource-server-use.countHoldersOfEach': [({ trx }) => resourceServerUse.countHoldersOfEach(trx, RS)],
    'resource-server-use.countCredentials': [({ trx }) => resourceServerUse.countCredentials(trx, RS, now)],

    'resource-servers.findResourceServer': [({ trx }) => resourceServers.findResourceServer(trx, RS)],
    'resource-servers.findBuiltInResourceServer': [
      ({ trx }) => resourceServers.findBuiltInResourceServer(trx),
    ],
    'resource-servers.findAnswerAlgorithms': [({ pool }) => resourceServers.findAnswerAlgorithms(pool, [RS])],
    'resource-servers.lockResourceServer': [({ trx }) => resourceServers.lockResourceServer(trx, RS)],
    'resource-servers.listResourceServers': [({ trx }) => resourceServers.listResourceServers(trx, next)],
    'resource-servers.deleteResourceServer': [({ trx }) => resourceServers.deleteResourceServer(trx, RS)],

    'roles.findRole': [({ trx }) => roles.findRole(trx, ORG, ROLE)],
    'roles.findBuiltInRole': [({ trx }) => roles.findBuiltInRole(trx, 'Owner')],
    'roles.listRoles': [
      ({ trx }) => roles.listRoles(trx, ORG, page),
      ({ trx }) => roles.listRoles(trx, ORG, next),
    ],
    'roles.shareRoles': [({ trx }) => roles.shareRoles(trx, ORG, [ROLE, 'role_107'])],
    'roles.lockRole': [
      ({ trx }) => roles.lockRole(trx, ORG, ROLE, 'change'),
      ({ trx }) => roles.lockRole(trx, ORG, ROLE, 'deletion'),
    ],
    'roles.withoutBuiltIn': [({ trx }) => roles.withoutBuiltIn(trx, [ROLE, 'role_107'])],
    'roles.listActiveRoleHolders': [({ trx }) => roles.listActiveRoleHolders(trx, ORG, 'Owner', 2)],
    'roles.countRoleHolders': [({ trx }) => roles.countRoleHolders(trx, ROLE)],
    'roles.listRolesWith': [({ trx }) => roles.listRolesWith(trx, RS, [PERMISSION])],
    'roles.insertRole': [
      ({ trx }) =>
        roles.insertRole(trx, {
          id: 'role_new',
          organizationId: ORG,
          name: 'new',
          description: '',
          createdAt: now,
          createdBy: ADM,
        }),
    ],
    'roles.updateRole': [({ trx }) => roles.updateRole(trx, ROLE, { name: 'other' }, now)],
    'roles.deleteRole': [
      async ({ trx }) => {
        await trx.deleteFrom('accountRoles').where('roleId', '=', ROLE).execute()
        await roles.deleteRole(trx, ROLE)
      },
    ],
    'roles.addRolePermissions': [({ trx }) => roles.addRolePermissions(trx, ROLE, [held])],
    'roles.removeRolePermissions': [({ trx }) => roles.removeRolePermissions(trx, ROLE, [held])],

    'sessions.insertSession': [
      ({ trx }) =>
        sessions.insertSession(trx, {
          id: 'ses_new',
          accountId: ADM,
          digest: Buffer.alloc(32, 9),
          method: 'password',
          awaitsSecondFactor: false,
          createdAt: now,
          expiresAt: now,
          ip: null,
          userAgent: null,
        }),
    ],
    'sessions.findLiveSession': [({ trx }) => sessions.findLiveSession(trx, DIGEST, liveness)],
    'sessions.findSessionOwner': [({ trx }) => sessions.findSessionOwner(trx, DIGEST)],
    'sessions.listLiveSessions': [({ trx }) => sessions.listLiveSessions(trx, ADM, { ...next, ...liveness })],
    'sessions.countLiveSessions': [({ trx }) => sessions.countLiveSessions(trx, ADM, liveness)],
    'sessions.touchSession': [({ trx }) => sessions.touchSession(trx, 'ses_1007', now)],
    'sessions.endSession': [({ trx }) => sessions.endSession(trx, ADM, 'ses_1007', now)],
    'sessions.endSessions': [
      ({ trx }) => sessions.endSessions(trx, ADM, { now }),
      ({ trx }) => sessions.endSessions(trx, ADM, { now, except: 'ses_1007' }),
    ],
    'sessions.deleteSessionsBefore': [({ trx }) => sessions.deleteSessionsBefore(trx, ADM, now)],

    'set-up-link.hasOperatorAdministrator': [({ trx }) => setUpLink.hasOperatorAdministrator(trx)],

    'token-tallies.listTallies': [({ trx }) => tokenTallies.listTallies(trx, ACC, liveness.seenSince)],
    'token-tallies.countTokensOfDay': [
      ({ trx }) => tokenTallies.countTokensOfDay(trx, ACC, Math.floor(NOW / 86_400_000) * 86_400_000),
    ],

    'used-jtis.claimJtis': [({ pool }) => usedJtis.claimJtis(pool, [jti])],
    'used-jtis.claimUse': [({ trx }) => usedJtis.claimUse(trx, jti)],
    'used-jtis.claimCallerJtis': [
      ({ pool }) => usedJtis.claimCallerJtis(pool, NOW, [{ ...jti, keyId: 'key_1' }]),
    ],
    'used-jtis.claimAccountJtis': [
      ({ pool }) =>
        usedJtis.claimAccountJtis(pool, NOW, [
          {
            accountId: ACC,
            keyId: KEY,
            jti: 'authenticates',
            expiresAt: NOW,
            ip: '203.0.113.7',
            userAgent: null,
          },
        ]),
    ],

    'wrapped-secrets.listWrapped': [
      ({ trx }) =>
        wrappedSecrets.listWrapped(
          trx,
          { table: 'administrator_credentials', idColumn: 'account_id', column: 'wrapped_totp_secret' },
          { after: 'adm_5', limit: 100 },
        ),
    ],
    'wrapped-secrets.replaceWrapped': [
      ({ trx }) =>
        wrappedSecrets.replaceWrapped(
          trx,
          { table: 'administrator_credentials', idColumn: 'account_id', column: 'wrapped_totp_secret' },
          [{ id: ADM, wrapped: DIGEST, rewrapped: DIGEST }],
        ),
    ],
  }
}

/** Why a function of src/database/queries/ is not among them. */
export const NOT_EXPLAINED: Readonly<Record<string, string>> = {
  'access.isOneOf': 'a part of queries',
  'join-one.joinOne': 'a part of queries',
  'grant-records.selectTokens': 'a part of queries',
  'grant-records.onlyLive': 'a part of queries',
  'grant-records.earliestAssertion': 'computes',
  'grant-records.toTokenRecord': 'computes',
  'audit-chain.listChains': 'reads the heads of all chains, for who verifies them all',
  'audit-chain.anchorEvents': 'reads the whole of a partition that is about to be dropped',
  'live-tokens.countLiveTokensOfSigningKey':
    'asks every organization for its newest records: told to be slow, and bounded',
  'identity-providers.hasIdentityProviders': 'is content with whichever row comes first',
  'installation.lockInstallation': 'reads no table',
  'resource-server-keys.insertResourceServerKey': 'small tables',
  'resource-server-keys.updateResourceServerKey': 'small tables',
  'resource-servers.insertResourceServer': 'small tables',
  'resource-servers.updateResourceServer': 'small tables',
  'resource-servers.listResourceServerSecrets': 'small tables',
  'resource-servers.findResourceServerSecret': 'small tables',
  'resource-servers.insertResourceServerSecret': 'small tables',
  'resource-servers.deleteResourceServerSecret': 'small tables',
  'restorations.insertRestoration': 'small tables',
  'restorations.findLastRestoration': 'small tables',
  'set-up-link.insertSetUpLink': 'small tables',
  'set-up-link.isSetUpLinkLive': 'small tables',
  'set-up-link.takeSetUpLink': 'small tables',
  'signing-keys.listPublishedSigningKeys': 'small tables',
  'signing-keys.listSigningKeys': 'small tables',
  'signing-keys.findSigningKey': 'small tables',
  'signing-keys.lockSigningKeys': 'small tables',
  'signing-keys.insertSigningKey': 'small tables',
  'signing-keys.activateSigningKey': 'small tables',
  'signing-keys.retireSigningKey': 'small tables',
  'signing-keys.removeSigningKey': 'small tables',
  'token-tallies.listTalliedDays': 'small tables',
}
