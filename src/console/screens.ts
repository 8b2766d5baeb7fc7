import { showAdministrator } from './screens/administrator.ts'
import {
  editAdministratorAccess,
  saveAdministratorAccess,
  showAdministratorAccess,
} from './screens/administrator-access.ts'
import {
  askToDeleteAdministrator,
  askToDisableAdministrator,
  deleteAdministrator,
  disableAdministrator,
  enableAdministrator,
} from './screens/administrator-end.ts'
import { askToReset, resetAdministrator } from './screens/administrator-reset.ts'
import {
  endAdministratorSession,
  endAdministratorSessions,
  showAdministratorSessions,
} from './screens/administrator-sessions.ts'
import { listAdministrators } from './screens/administrators.ts'
import { exportAudit, showAudit } from './screens/audit.ts'
import { askForCode, giveCode } from './screens/code.ts'
import { editAdministrator, saveAdministrator } from './screens/edit-administrator.ts'
import { createGroup, editGroup, saveGroup, showNewGroup } from './screens/edit-group.ts'
import { editResourceServer, saveResourceServer } from './screens/edit-resource-server.ts'
import { createRole, editRole, saveRole, showNewRole } from './screens/edit-role.ts'
import { editServiceAccount, saveServiceAccount } from './screens/edit-service-account.ts'
import { askToDeleteGroup, deleteGroup, showGroup } from './screens/group.ts'
import { listGroups } from './screens/groups.ts'
import { goHome } from './screens/home.ts'
import {
  askToRemoveProvider,
  removeProvider,
  saveProvider,
  showProvider,
  testProvider,
} from './screens/identity-provider.ts'
import { acceptInvitation, askForInvitation, showInvitation } from './screens/invitation.ts'
import { saveKey, showKey } from './screens/key.ts'
import { askToDeleteKey, askToDisableKey, deleteKey, disableKey, enableKey } from './screens/key-end.ts'
import { listKeys } from './screens/keys.ts'
import { inviteAdministrator, showNewAdministrator } from './screens/new-administrator.ts'
import {
  chooseKey,
  createApiToken,
  generateKey,
  registerFromBrowser,
  registerKey,
  showBrowser,
  showGenerate,
  showNewApiToken,
  showRegister,
} from './screens/new-key.ts'
import { createOrganization, showNewOrganization } from './screens/new-organization.ts'
import { createResourceServer, showNewResourceServer } from './screens/new-resource-server.ts'
import { createServiceAccount, showNewServiceAccount } from './screens/new-service-account.ts'
import {
  allowApiTokens,
  askToDeleteOrganization,
  askToDisableOrganization,
  askToForbidApiTokens,
  deleteOrganization,
  disableOrganization,
  enableOrganization,
  forbidApiTokens,
} from './screens/organization-end.ts'
import { editSettings, saveSettings, showSettings } from './screens/organization-settings.ts'
import { listOrganizations } from './screens/organizations.ts'
import { changePassword, showPassword } from './screens/password.ts'
import { replaceRecoveryCodes, showRecoveryCodes } from './screens/recovery-codes.ts'
import { showResourceServer } from './screens/resource-server.ts'
import { listCredentials } from './screens/resource-server-credentials.ts'
import { askToDeleteServer, deleteResourceServer } from './screens/resource-server-end.ts'
import {
  askToDeleteServerKey,
  askToDisableServerKey,
  deleteServerKey,
  disableServerKey,
  enableServerKey,
} from './screens/resource-server-key-end.ts'
import {
  registerServerKey,
  saveServerKey,
  showNewServerKey,
  showServerKey,
} from './screens/resource-server-keys.ts'
import {
  addServerPermission,
  askToRemovePermission,
  editServerPermission,
  listServerPermissions,
  removeServerPermission,
  saveServerPermission,
} from './screens/resource-server-permissions.ts'
import {
  askToDeleteSecret,
  createSecret,
  deleteSecret,
  showNewSecret,
} from './screens/resource-server-secrets.ts'
import { listResourceServers } from './screens/resource-servers.ts'
import { askToDeleteRole, deleteRole, showRole } from './screens/role.ts'
import { listPermissions, listRoles } from './screens/roles.ts'
import {
  askForRemoval,
  beginSecondFactor,
  confirmSecondFactor,
  removeSecondFactor,
  showSecondFactor,
} from './screens/second-factor.ts'
import { endOtherSessions, endSession, showSecurity } from './screens/security.ts'
import { showServiceAccount } from './screens/service-account.ts'
import { giveAccess, showAccess } from './screens/service-account-access.ts'
import { showAccountAudit } from './screens/service-account-audit.ts'
import {
  askToDelete,
  askToDisable,
  deleteAccount,
  disableAccount,
  enableAccount,
} from './screens/service-account-end.ts'
import { delegate, givePermissions, showDelegation, showGive } from './screens/service-account-gifts.ts'
import { askToTake, takeAccess } from './screens/service-account-take.ts'
import {
  askToRevokeAll,
  askToRevokeToken,
  listTokens,
  revokeAll,
  revokeToken,
} from './screens/service-account-tokens.ts'
import { listServiceAccounts } from './screens/service-accounts.ts'
import { askForSetUp, completeSetUp, showSetUp } from './screens/set-up.ts'
import { askForSignIn, signIn } from './screens/sign-in.ts'
import { signOut } from './screens/sign-out.ts'
import { askToRevoke, askToRotate, revokeSigningKey, rotateSigningKeys } from './screens/signing-key-end.ts'
import { listSigningKeys, showSigningKey } from './screens/signing-keys.ts'
import { askForOrganization, beginSingleSignOn } from './screens/single-sign-on.ts'
import { explainAssertion, showTryIt } from './screens/try-it.ts'
import { leaveUnsent, showUnsent } from './screens/unsent.ts'
import type { PlatformScreen, Route, Screen, SessionVisit, Visit } from './visit.ts'

/** Before somebody has signed in. */
export const ENTRANCE: readonly Route<Visit>[] = [
  ['GET', '/set-up', askForSetUp],
  ['POST', '/set-up', showSetUp],
  ['POST', '/set-up/complete', completeSetUp],
  ['GET', '/invitation', askForInvitation],
  ['POST', '/invitation', showInvitation],
  ['POST', '/invitation/accept', acceptInvitation],
  ['GET', '/sign-in', askForSignIn],
  ['POST', '/sign-in', signIn],
  ['GET', '/sign-in/code', askForCode],
  ['POST', '/sign-in/code', giveCode],
  ['GET', '/sign-in/single-sign-on', askForOrganization],
  ['POST', '/sign-in/single-sign-on', beginSingleSignOn],
]

/** For everybody who is signed in: their own matters. */
export const OWN: readonly Route<SessionVisit>[] = [
  ['GET', '/', goHome],
  ['POST', '/sign-out', signOut],
  ['GET', '/unsent', showUnsent],
  ['POST', '/unsent', leaveUnsent],
  ['GET', '/security', showSecurity],
  ['POST', '/security/sessions/end-others', endOtherSessions],
  ['POST', '/security/sessions/:ses/end', endSession],
  ['GET', '/security/password', showPassword],
  ['POST', '/security/password', changePassword],
  ['GET', '/security/second-factor', showSecondFactor],
  ['POST', '/security/second-factor', beginSecondFactor],
  ['POST', '/security/second-factor/confirm', confirmSecondFactor],
  ['GET', '/security/second-factor/remove', askForRemoval],
  ['POST', '/security/second-factor/remove', removeSecondFactor],
  ['GET', '/security/recovery-codes', showRecoveryCodes],
  ['POST', '/security/recovery-codes', replaceRecoveryCodes],
]

const SERVERS = '/resource-servers'
const SERVER = `${SERVERS}/:rs`
const SERVER_KEY = `${SERVER}/keys/:rsk`

/** Pages of the platform, for operators, and the permission that each takes. */
export const PLATFORM: readonly PlatformScreen[] = [
  ['GET', '/organizations', 'organizations:read', listOrganizations],
  ['GET', '/organizations/new', 'organizations:manage', showNewOrganization],
  ['POST', '/organizations/new', 'organizations:manage', createOrganization],
  ['GET', SERVERS, 'resource_servers:read', listResourceServers],
  ['GET', `${SERVERS}/new`, 'resource_servers:manage', showNewResourceServer],
  ['POST', `${SERVERS}/new`, 'resource_servers:manage', createResourceServer],
  ['GET', SERVER, 'resource_servers:read', showResourceServer],
  ['GET', `${SERVER}/edit`, 'resource_servers:manage', editResourceServer],
  ['POST', `${SERVER}/edit`, 'resource_servers:manage', saveResourceServer],
  ['GET', `${SERVER}/delete`, 'resource_servers:manage', askToDeleteServer],
  ['POST', `${SERVER}/delete`, 'resource_servers:manage', deleteResourceServer],
  ['GET', `${SERVER}/permissions`, 'resource_servers:read', listServerPermissions],
  ['POST', `${SERVER}/permissions`, 'resource_servers:manage', addServerPermission],
  ['GET', `${SERVER}/permissions/edit`, 'resource_servers:manage', editServerPermission],
  ['POST', `${SERVER}/permissions/edit`, 'resource_servers:manage', saveServerPermission],
  ['GET', `${SERVER}/permissions/remove`, 'resource_servers:manage', askToRemovePermission],
  ['POST', `${SERVER}/permissions/remove`, 'resource_servers:manage', removeServerPermission],
  ['GET', `${SERVER}/credentials`, 'resource_servers:read', listCredentials],
  ['GET', `${SERVER}/secrets/new`, 'resource_servers:manage', showNewSecret],
  ['POST', `${SERVER}/secrets/new`, 'resource_servers:manage', createSecret],
  ['GET', `${SERVER}/secrets/:rss/delete`, 'resource_servers:manage', askToDeleteSecret],
  ['POST', `${SERVER}/secrets/:rss/delete`, 'resource_servers:manage', deleteSecret],
  ['GET', `${SERVER}/keys/new`, 'resource_servers:manage', showNewServerKey],
  ['POST', `${SERVER}/keys/new`, 'resource_servers:manage', registerServerKey],
  ['GET', SERVER_KEY, 'resource_servers:read', showServerKey],
  ['POST', SERVER_KEY, 'resource_servers:manage', saveServerKey],
  ['GET', `${SERVER_KEY}/disable`, 'resource_servers:manage', askToDisableServerKey],
  ['POST', `${SERVER_KEY}/disable`, 'resource_servers:manage', disableServerKey],
  ['POST', `${SERVER_KEY}/enable`, 'resource_servers:manage', enableServerKey],
  ['GET', `${SERVER_KEY}/delete`, 'resource_servers:manage', askToDeleteServerKey],
  ['POST', `${SERVER_KEY}/delete`, 'resource_servers:manage', deleteServerKey],
  ['GET', '/signing-keys', 'signing_keys:read', listSigningKeys],
  ['GET', '/signing-keys/rotate', 'signing_keys:manage', askToRotate],
  ['POST', '/signing-keys/rotate', 'signing_keys:manage', rotateSigningKeys],
  ['GET', '/signing-keys/:sig', 'signing_keys:read', showSigningKey],
  ['GET', '/signing-keys/:sig/revoke', 'signing_keys:manage', askToRevoke],
  ['POST', '/signing-keys/:sig/revoke', 'signing_keys:manage', revokeSigningKey],
]

/** Pages of an organization, below `/organizations/:org`, that are for operators; the permission comes besides. */
export const TENANT: readonly Screen[] = [
  ['GET', '/settings/disable', 'organizations:manage', askToDisableOrganization],
  ['POST', '/settings/disable', 'organizations:manage', disableOrganization],
  ['POST', '/settings/enable', 'organizations:manage', enableOrganization],
  ['GET', '/settings/delete', 'organizations:manage', askToDeleteOrganization],
  ['POST', '/settings/delete', 'organizations:manage', deleteOrganization],
]

const ACCOUNTS = '/service-accounts'
const ACCOUNT = `${ACCOUNTS}/:acc`
const KEYS = `${ACCOUNT}/keys`
const ACCESS = `${ACCOUNT}/permissions`
const TOKENS = `${ACCOUNT}/tokens`
const KEY = `${KEYS}/:key`
const ROLES = '/roles'
const ROLE = `${ROLES}/:role`
const GROUPS = '/groups'
const GROUP = `${GROUPS}/:grp`
const ADMINISTRATORS = '/administrators'
const ADMINISTRATOR = `${ADMINISTRATORS}/:adm`
const SETTINGS = '/settings'
const SINGLE_SIGN_ON = `${SETTINGS}/single-sign-on`

/** Pages of an organization, below `/organizations/:org`, and the permission that each takes. */
export const SCREENS: readonly Screen[] = [
  ['GET', ACCOUNTS, 'service_accounts:read', listServiceAccounts],
  ['GET', `${ACCOUNTS}/new`, 'service_accounts:manage', showNewServiceAccount],
  ['POST', `${ACCOUNTS}/new`, 'service_accounts:manage', createServiceAccount],
  ['GET', ACCOUNT, 'service_accounts:read', showServiceAccount],
  ['GET', `${ACCOUNT}/edit`, 'service_accounts:manage', editServiceAccount],
  ['POST', `${ACCOUNT}/edit`, 'service_accounts:manage', saveServiceAccount],
  ['GET', `${ACCOUNT}/disable`, 'service_accounts:manage', askToDisable],
  ['POST', `${ACCOUNT}/disable`, 'service_accounts:manage', disableAccount],
  ['POST', `${ACCOUNT}/enable`, 'service_accounts:manage', enableAccount],
  ['GET', `${ACCOUNT}/delete`, 'service_accounts:manage', askToDelete],
  ['POST', `${ACCOUNT}/delete`, 'service_accounts:manage', deleteAccount],
  ['GET', TOKENS, 'service_accounts:read', listTokens],
  ['GET', `${TOKENS}/revoke`, 'service_accounts:manage', askToRevokeAll],
  ['POST', `${TOKENS}/revoke`, 'service_accounts:manage', revokeAll],
  ['GET', `${TOKENS}/:tok/revoke`, 'service_accounts:manage', askToRevokeToken],
  ['POST', `${TOKENS}/:tok/revoke`, 'service_accounts:manage', revokeToken],
  ['GET', ACCESS, 'service_accounts:read', showAccess],
  ['POST', ACCESS, 'service_accounts:manage', giveAccess],
  ['GET', `${ACCESS}/give`, 'service_accounts:manage', showGive],
  ['POST', `${ACCESS}/give`, 'service_accounts:manage', givePermissions],
  ['GET', `${ACCESS}/delegate`, 'service_accounts:manage', showDelegation],
  ['POST', `${ACCESS}/delegate`, 'service_accounts:manage', delegate],
  ['GET', `${ACCESS}/take`, 'service_accounts:manage', askToTake],
  ['POST', `${ACCESS}/take`, 'service_accounts:manage', takeAccess],
  ['GET', `${ACCOUNT}/audit`, 'audit:read', showAccountAudit],
  ['GET', KEYS, 'service_accounts:read', listKeys],
  ['GET', `${KEYS}/new`, 'service_accounts:manage', chooseKey],
  ['GET', `${KEYS}/new/browser`, 'service_accounts:manage', showBrowser],
  ['POST', `${KEYS}/new/browser`, 'service_accounts:manage', registerFromBrowser],
  ['GET', `${KEYS}/new/generate`, 'service_accounts:manage', showGenerate],
  ['POST', `${KEYS}/new/generate`, 'service_accounts:manage', generateKey],
  ['GET', `${KEYS}/new/register`, 'service_accounts:manage', showRegister],
  ['POST', `${KEYS}/new/register`, 'service_accounts:manage', registerKey],
  ['GET', `${KEYS}/new/api-token`, 'service_accounts:manage', showNewApiToken],
  ['POST', `${KEYS}/new/api-token`, 'service_accounts:manage', createApiToken],
  ['GET', KEY, 'service_accounts:read', showKey],
  ['POST', KEY, 'service_accounts:manage', saveKey],
  ['GET', `${KEY}/disable`, 'service_accounts:manage', askToDisableKey],
  ['POST', `${KEY}/disable`, 'service_accounts:manage', disableKey],
  ['POST', `${KEY}/enable`, 'service_accounts:manage', enableKey],
  ['GET', `${KEY}/delete`, 'service_accounts:manage', askToDeleteKey],
  ['POST', `${KEY}/delete`, 'service_accounts:manage', deleteKey],
  ['GET', ROLES, 'roles:read', listRoles],
  ['GET', `${ROLES}/permissions`, 'roles:read', listPermissions],
  ['GET', `${ROLES}/new`, 'roles:manage', showNewRole],
  ['POST', `${ROLES}/new`, 'roles:manage', createRole],
  ['GET', ROLE, 'roles:read', showRole],
  ['GET', `${ROLE}/edit`, 'roles:manage', editRole],
  ['POST', `${ROLE}/edit`, 'roles:manage', saveRole],
  ['GET', `${ROLE}/delete`, 'roles:manage', askToDeleteRole],
  ['POST', `${ROLE}/delete`, 'roles:manage', deleteRole],
  ['GET', GROUPS, 'groups:read', listGroups],
  ['GET', `${GROUPS}/new`, 'groups:manage', showNewGroup],
  ['POST', `${GROUPS}/new`, 'groups:manage', createGroup],
  ['GET', GROUP, 'groups:read', showGroup],
  ['GET', `${GROUP}/edit`, 'groups:manage', editGroup],
  ['POST', `${GROUP}/edit`, 'groups:manage', saveGroup],
  ['GET', `${GROUP}/delete`, 'groups:manage', askToDeleteGroup],
  ['POST', `${GROUP}/delete`, 'groups:manage', deleteGroup],
  ['GET', '/audit', 'audit:read', showAudit],
  ['GET', '/audit/export', 'audit:read', exportAudit],
  ['GET', '/try-it', 'service_accounts:read', showTryIt],
  ['POST', '/try-it', 'service_accounts:read', explainAssertion],
  ['GET', ADMINISTRATORS, 'administrators:read', listAdministrators],
  ['GET', `${ADMINISTRATORS}/new`, 'administrators:manage', showNewAdministrator],
  ['POST', `${ADMINISTRATORS}/new`, 'administrators:manage', inviteAdministrator],
  ['GET', ADMINISTRATOR, 'administrators:read', showAdministrator],
  ['GET', `${ADMINISTRATOR}/edit`, 'administrators:manage', editAdministrator],
  ['POST', `${ADMINISTRATOR}/edit`, 'administrators:manage', saveAdministrator],
  ['GET', `${ADMINISTRATOR}/access`, 'administrators:read', showAdministratorAccess],
  ['GET', `${ADMINISTRATOR}/access/edit`, 'administrators:manage', editAdministratorAccess],
  ['POST', `${ADMINISTRATOR}/access/edit`, 'administrators:manage', saveAdministratorAccess],
  ['GET', `${ADMINISTRATOR}/sessions`, 'administrators:read', showAdministratorSessions],
  ['POST', `${ADMINISTRATOR}/sessions/end`, 'administrators:manage', endAdministratorSessions],
  ['POST', `${ADMINISTRATOR}/sessions/:ses/end`, 'administrators:manage', endAdministratorSession],
  ['GET', `${ADMINISTRATOR}/reset`, 'administrators:manage', askToReset],
  ['POST', `${ADMINISTRATOR}/reset`, 'administrators:manage', resetAdministrator],
  ['GET', `${ADMINISTRATOR}/disable`, 'administrators:manage', askToDisableAdministrator],
  ['POST', `${ADMINISTRATOR}/disable`, 'administrators:manage', disableAdministrator],
  ['POST', `${ADMINISTRATOR}/enable`, 'administrators:manage', enableAdministrator],
  ['GET', `${ADMINISTRATOR}/delete`, 'administrators:manage', askToDeleteAdministrator],
  ['POST', `${ADMINISTRATOR}/delete`, 'administrators:manage', deleteAdministrator],
  ['GET', SETTINGS, 'organizations:read', showSettings],
  ['GET', `${SETTINGS}/edit`, 'organizations:manage', editSettings],
  ['POST', `${SETTINGS}/edit`, 'organizations:manage', saveSettings],
  ['GET', `${SETTINGS}/api-tokens/forbid`, 'organizations:manage', askToForbidApiTokens],
  ['POST', `${SETTINGS}/api-tokens/forbid`, 'organizations:manage', forbidApiTokens],
  ['POST', `${SETTINGS}/api-tokens/allow`, 'organizations:manage', allowApiTokens],
  ['GET', SINGLE_SIGN_ON, 'organizations:read', showProvider],
  ['POST', SINGLE_SIGN_ON, 'organizations:manage', saveProvider],
  ['POST', `${SINGLE_SIGN_ON}/test`, 'organizations:manage', testProvider],
  ['GET', `${SINGLE_SIGN_ON}/remove`, 'organizations:manage', askToRemoveProvider],
  ['POST', `${SINGLE_SIGN_ON}/remove`, 'organizations:manage', removeProvider],
]
