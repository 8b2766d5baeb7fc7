import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { testGuardedApi } from './guarded-api.ts'
import { pathOf } from './programs.ts'
import { type ProxyProgram, replaceAll } from './proxy.ts'
import { findServer } from './toolchains.ts'

const envoy: ProxyProgram = {
  configuration: readFileSync(pathOf('envoy/jwt-authn.yaml'), 'utf8'),
  prepare(text, { folder, socketPath, countersign, api }) {
    const configuration = replaceAll(text, {
      'socket_address: { address: 0.0.0.0, port_value: 8443 }': `pipe: { path: ${socketPath} }`,
      'https://id.example.com': countersign,
      'address: id.example.com, port_value: 443': `address: 127.0.0.1, port_value: ${new URL(countersign).port}`,
      'port_value: 3000': `port_value: ${new URL(api).port}`,
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

// Where the configuration was tried first; what it needs has been there for longer.
const versions = /\/1\.(3[89]|[4-9]\d)\./
testGuardedApi(
  'Envoy, by itself',
  await findServer('envoy', '--version', versions),
  envoy,
  'when they expire',
  403,
  true,
)
