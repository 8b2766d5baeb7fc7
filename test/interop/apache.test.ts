import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testGuardedApi } from './guarded-api.ts'
import { pathOf } from './programs.ts'
import { type ProxyProgram, replaceAll } from './proxy.ts'
import { findServer } from './toolchains.ts'

/** Debian's. */
const MODULES = '/usr/lib/apache2/modules'
const NEEDED = {
  mpm_event: 'mod_mpm_event.so',
  authn_core: 'mod_authn_core.so',
  authz_core: 'mod_authz_core.so',
  authz_host: 'mod_authz_host.so',
  authz_user: 'mod_authz_user.so',
  headers: 'mod_headers.so',
  proxy: 'mod_proxy.so',
  proxy_http: 'mod_proxy_http.so',
  auth_openidc: 'mod_auth_openidc.so',
}

const apache: ProxyProgram = {
  configuration: readFileSync(pathOf('apache/introspection.conf'), 'utf8'),
  listensOn: 'port',
  asksByTls: true,
  prepare(text, { folder, port, countersign, api, resourceServerId, secret }) {
    const guide = replaceAll(text, {
      'https://id.example.com': countersign,
      'rs_…': resourceServerId,
      'css_…': secret,
      '<VirtualHost *:80>': `<VirtualHost 127.0.0.1:${port}>`,
      'http://127.0.0.1:3000': api,
    })
    const main = [
      `ServerRoot ${folder}`,
      `PidFile ${join(folder, 'apache.pid')}`,
      `Listen 127.0.0.1:${port}`,
      'ServerName api.example.com',
      `ErrorLog ${join(folder, 'error.log')}`,
      `DefaultRuntimeDir ${folder}`,
      `Mutex file:${folder} default`,
      ...Object.entries(NEEDED).map(([name, file]) => `LoadModule ${name}_module ${MODULES}/${file}`),
      'StartServers 1',
      'OIDCOAuthSSLValidateServer Off',
      guide,
    ]
    return { files: { 'apache.conf': main.join('\n') }, args: ['-X', '-f', join(folder, 'apache.conf')] }
  },
}

const found = await findServer('apache2', '-v', /Apache\/2\.4\./)
const missing = existsSync(`${MODULES}/mod_auth_openidc.so`) ? undefined : 'there is no mod_auth_openidc'
testGuardedApi('Apache', missing === undefined ? found : { missing }, apache, 'at once', 401, false)
