import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, beforeAll, expect, test } from '@jest/globals'
import { checkIssuer } from '../../../src/cli/checks/issuer.ts'
import { selfSignedCertificate } from '../../../src/directory/certificate.ts'

const DAY = 86_400_000
const NOW = Date.now()
const KID = 'sig_1'
const AUTHORITIES = getCACertificates('default')

let key: string
let server: Server | undefined
beforeAll(() => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
})
afterEach(async () => {
  await new Promise((resolve) => server?.close(resolve) ?? resolve(undefined))
  server = undefined
  setDefaultCACertificates(AUTHORITIES)
})

/** Serves an issuer over TLS; its certificate is trusted by this process unless told otherwise. */
async function serve(
  options: { name?: string; days?: number; isTrusted?: boolean },
  answer: (path: string, issuer: string) => unknown = honest,
): Promise<string> {
  const der = await selfSignedCertificate(createPrivateKey(key), {
    commonName: options.name ?? 'localhost',
    notBefore: new Date(NOW - 400 * DAY),
    notAfter: new Date(NOW + (options.days ?? 300) * DAY + DAY / 2),
  })
  const cert = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  if (options.isTrusted !== false) setDefaultCACertificates([...AUTHORITIES, cert])
  return listen(createServer({ key, cert }, respond(answer)), 'https')
}

function honest(path: string, issuer: string): unknown {
  if (path === '/.well-known/oauth-authorization-server') return { issuer }
  if (path === '/.well-known/jwks.json') return { keys: [{ kid: KID }] }
  return undefined
}

function respond(answer: (path: string, issuer: string) => unknown): RequestListener {
  return (req, res) => {
    const scheme = 'encrypted' in req.socket ? 'https' : 'http'
    const body = answer(req.url ?? '', `${scheme}://${req.headers.host}`)
    res.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}))
  }
}

async function listen(listening: Server, scheme: string): Promise<string> {
  server = listening
  await new Promise<void>((resolve) => listening.listen(0, 'localhost', resolve))
  return `${scheme}://localhost:${(listening.address() as AddressInfo).port}`
}

async function examine(issuer: string, activeKids: string[] = [KID]): Promise<string[]> {
  const checks = await checkIssuer(issuer, { activeKids, now: NOW })
  return checks.map(({ name, verdict, found }) => `${name}: ${verdict}, ${found}`)
}

test('an issuer that clients reach as it is configured is well', async () => {
  const issuer = await serve({})
  expect(await examine(issuer)).toEqual([
    'issuer TLS: ok, the certificate is valid, for 300 more days',
    `issuer metadata: ok, ${issuer}/.well-known/oauth-authorization-server names this issuer`,
    'issuer keys: ok, 1 published, those that sign among them',
  ])
})

test('a certificate that runs out soon is told ahead', async () => {
  expect((await examine(await serve({ days: 5 })))[0]).toBe(
    'issuer TLS: warning, the certificate is valid, for 5 more days',
  )
})

test.each([
  ['that has run out', { days: -2 }, 'CERT_HAS_EXPIRED'],
  ['of another name', { name: 'elsewhere.example' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  [
    'that nobody vouches for',
    { isTrusted: false, name: 'localhost', days: 77 },
    'DEPTH_ZERO_SELF_SIGNED_CERT',
  ],
])('a certificate %s fails, as it does for clients', async (_what, options, code) => {
  const [line, ...others] = await examine(await serve(options))
  expect(line).toMatch(new RegExp(`^issuer TLS: failed, the certificate does not hold \\(${code}`))
  expect(others).toEqual([])
})

test('metadata that name another issuer, or are none, fail', async () => {
  const other = await serve({}, (path, issuer) =>
    path.endsWith('jwks.json') ? honest(path, issuer) : { issuer: 'https://other.example' },
  )
  expect((await examine(other))[1]).toMatch(
    /^issuer metadata: failed, .* names the issuer "https:\/\/other\.example"/,
  )
  server?.close()
  const none = await serve({}, () => undefined)
  expect((await examine(none))[1]).toMatch(/^issuer metadata: failed, .* answers 404, and no metadata$/)
})

test('an issuer that leads to another installation fails by its keys', async () => {
  expect((await examine(await serve({}), ['sig_2']))[2]).toBe(
    'issuer keys: failed, jwks.json lacks sig_2, which signs in this database',
  )
})

test('an issuer without TLS is well on this machine alone', async () => {
  const issuer = await listen(createPlainServer(respond(honest)), 'http')
  expect((await examine(issuer))[0]).toMatch(/^issuer TLS: ok/)
})

test('an issuer that nobody answers at fails', async () => {
  expect(await examine('https://127.0.0.1:1')).toEqual([
    'issuer: failed, https://127.0.0.1:1 cannot be reached from here (ECONNREFUSED)',
  ])
})
