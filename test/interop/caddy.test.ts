import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testForwardAuth } from './forward-auth.ts'
import { pathOf } from './programs.ts'
import { type ProxyProgram, replaceAll } from './proxy.ts'
import { findServer } from './toolchains.ts'

const caddy: ProxyProgram = {
  configuration: readFileSync(pathOf('caddy/Caddyfile'), 'utf8'),
  prepare(text, { folder, socketPath, countersign, api, secret }) {
    const site = replaceAll(text, {
      'api.example.com {': `http://api.example.com {\n\tbind unix/${socketPath}`,
      '127.0.0.1:8080': new URL(countersign).host,
      '127.0.0.1:3000': new URL(api).host,
    })
    return {
      files: { Caddyfile: `{\n\tadmin off\n}\n${site}` },
      args: ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'],
      env: { RESOURCE_SERVER_SECRET: secret, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    }
  },
}

const { optional } = testForwardAuth('Caddy', await findServer('caddy', 'version', /2\.(?![0-5]\.)/), caddy, {
  noAnswer: 502,
  wrongSecret: 400,
})

optional.printSkipped('forward auth behind Caddy')
