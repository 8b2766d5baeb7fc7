import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import type { Countersign } from './countersign.ts'
import { type ServerProcess, startProcess } from './processes.ts'

/** What Countersign is measured against. */
export type ComparedServers = {
  provider: ServerProcess & { port: number }
  limit: ServerProcess & { port: number }
  /** `Authorization` of the client that introspects at oidc-provider. */
  introspector: string
}

/** Starts both, with the issuer of Countersign and its account as the client: so all verify the same assertions. */
export async function startComparedServers(
  folder: string,
  countersign: Countersign,
): Promise<ComparedServers> {
  const { issuer, subjects } = countersign
  const signing = await generateKeyPair('ES256', { extractable: true })
  const introspector = { id: 'introspector', secret: 'a-secret-that-nobody-guesses-0123456789' }
  const settings = {
    issuer,
    introspector,
    clients: [subjects.jwt, subjects.opaque].map(({ source, publicJwk }) => ({
      id: source.accountId,
      publicJwk: { ...publicJwk, kid: source.keyId, alg: 'RS256', use: 'sig' },
    })),
    signingJwk: { ...(await exportJWK(signing.privateKey)), kid: 'signing', alg: 'ES256', use: 'sig' },
  }
  return {
    provider: await start('oidc-provider', countersign.port + 1, '/.well-known/openid-configuration'),
    limit: await start('limit', countersign.port + 2, '/'),
    introspector: `Basic ${Buffer.from(`${introspector.id}:${introspector.secret}`).toString('base64')}`,
  }

  async function start(name: string, port: number, path: string) {
    const server = await startProcess(
      [join(import.meta.dirname, `servers/${name}.ts`), JSON.stringify({ ...settings, port })],
      {
        cwd: join(import.meta.dirname, '..'),
        env: { NODE_ENV: 'production' },
        url: `http://127.0.0.1:${port}${path}`,
        log: join(folder, `${name}.log`),
      },
    )
    return { ...server, port }
  }
}
