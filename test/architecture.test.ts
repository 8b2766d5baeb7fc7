import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from '@jest/globals'

/** What each part may import of ours. `*` are the leaves that everything may use. */
const LEAVES = ['errors', 'background', 'clock', 'ids', 'network', 'database-url', 'config']
const ALLOWED: Record<string, readonly string[]> = {
  main: ['cli'],
  cli: ['*'],
  workers: ['*'],
  server: ['*'],
  preparation: ['*'],
  app: ['*'],
  oauth: ['http', 'assertion', 'possession', 'tokens', 'signing', 'directory', 'database', 'jwt'],
  management: ['http', 'possession', 'tokens', 'signing', 'directory', 'database'],
  http: ['database'],
  observability: ['http', 'database'],
  assertion: ['database', 'jwt'],
  possession: ['directory', 'signing', 'database', 'jwt'],
  tokens: ['signing', 'database', 'jwt'],
  signing: ['database'],
  authentication: ['directory', 'tokens', 'signing', 'database'],
  'sign-in': ['http', 'authentication', 'directory', 'signing', 'database'],
  console: ['http', 'authentication', 'assertion', 'directory', 'signing', 'database'],
  directory: ['tokens', 'signing', 'database'],
  jwt: [],
  database: [],
}

/** Packages that only the named parts may know. */
const PACKAGES: Record<string, readonly string[]> = {
  express: ['app', 'http', 'oauth', 'management', 'sign-in', 'console', 'observability'],
  'express-openapi-validator': ['http'],
  kysely: ['database'],
  pg: ['database'],
  jose: ['assertion', 'tokens', 'signing', 'directory', 'cli'],
  'openid-client': ['authentication'],
  '@zxcvbn-ts/language-common': ['authentication'],
  'node-forge': ['directory'],
  zod: ['config', 'console'],
  hono: ['console'],
  uqr: ['console'],
  pino: ['observability', 'app', 'server', 'preparation', 'workers'],
  'prom-client': ['observability'],
  '@opentelemetry/api': ['observability'],
  commander: ['main', 'cli'],
}

const files = globSync('src/**/*.ts').map((file) => normalize(file))

describe('every file keeps to its layer', () => {
  test.each(files)('%s', (file) => {
    const part = partOf(file)
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith('.')) {
        const target = partOf(normalize(join(dirname(file), specifier)))
        const allowed = ALLOWED[part] ?? []
        const isAllowed =
          target === part || LEAVES.includes(target) || allowed.includes('*') || allowed.includes(target)
        expect({ file, imports: specifier, isAllowed }).toEqual({ file, imports: specifier, isAllowed: true })
      } else {
        const owners = PACKAGES[packageOf(specifier)]
        const isAllowed = owners === undefined || owners.includes(part)
        expect({ file, imports: specifier, isAllowed }).toEqual({ file, imports: specifier, isAllowed: true })
      }
    }
  })
})

test('the environment is read in one place', () => {
  const readers = files.filter((file) => /process\.env/.test(readFileSync(file, 'utf8')))
  expect(readers).toEqual(['src/config.ts'])
})

test('the machine’s clock is read in one place', () => {
  const readers = files.filter((file) => /Date\.now\(\)|new Date\(\)/.test(readFileSync(file, 'utf8')))
  expect(readers).toEqual(['src/clock.ts'])
})

function partOf(file: string): string {
  const [, first = ''] = file.split('/')
  return first.replace(/\.ts$/, '')
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8')
  return [...source.matchAll(/^(?:import|export) [^'"]*?from '([^']+)'/gms)].map((match) => match[1] ?? '')
}
