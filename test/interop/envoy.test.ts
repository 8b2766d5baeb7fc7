import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testForwardAuth } from './forward-auth.ts'
import { pathOf } from './programs.ts'
import { type ProxyProgram, replaceAll } from './proxy.ts'
import { findServer } from './toolchains.ts'

const envoy: ProxyProgram = {
  configuration: readFileSync(pathOf('envoy/forward-auth.yaml'), 'utf8'),
  prepare(text, { folder, socketPath, countersign, api, secret }) {
    const configuration = replaceAll(text, {
      'socket_address: { address: 0.0.0.0, port_value: 8443 }': `pipe: { path: ${socketPath} }`,
      'port_value: 8080': `port_value: ${new URL(countersign).port}`,
      'port_value: 3000': `port_value: ${new URL(api).port}`,
      'css_…': secret,
    })
    return {
      files: { 'envoy.yaml': configuration },
      args: [
        '-c',
        join(folder, 'envoy.yaml'),
        '--disable-hot-restart',
        '--concurrency',
        '1',
        '-l',
        'warning',
      ],
    }
  },
}

// From 1.38 on it knows path_override.
const versions = /\/1\.(3[89]|[4-9]\d)\./
const { optional } = testForwardAuth('Envoy', await findServer('envoy', '--version', versions), envoy, {
  noAnswer: 503,
  wrongSecret: 400,
})

optional.printSkipped('forward auth behind Envoy')
