import { chmod, mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../clock.ts'
import { type Config, parseConfig } from '../config.ts'
import { OperatorError } from '../errors.ts'
import { createLogger } from '../observability/logger.ts'
import { startServer } from '../server.ts'
import { request } from './http.ts'

/** The server that the demo talks to, and where its operator's key file is. */
export type DemoServer = { issuer: string; operatorKeyFile: string; stop(): Promise<void> }

/** The server that runs with this configuration; undefined when nobody listens there. Throws OperatorError. */
export async function findRunningServer(
  config: Pick<Config, 'issuer' | 'keysDir'>,
): Promise<DemoServer | undefined> {
  const url = `${config.issuer}/.well-known/openid-configuration`
  const answer = await request(url, {}).catch(() => undefined)
  if (answer === undefined) return undefined
  if (answer.body?.issuer !== config.issuer) {
    throw new OperatorError(
      `Something listens at ${config.issuer}, but it is no Countersign with that issuer. Name the right one with --port or --issuer.`,
    )
  }
  return {
    issuer: config.issuer,
    operatorKeyFile: join(config.keysDir, 'operator.json'),
    stop: async () => undefined,
  }
}

/** A server of the demo's own, in a folder that goes when it stops. */
export async function startOwnServer(): Promise<DemoServer> {
  await using starting = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'countersign-demo-'))
  starting.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  // As root, PostgreSQL runs as another user, who has to get to the data folder.
  await chmod(folder, 0o755)
  const config = parseConfig({
    COUNTERSIGN_PORT: String(await findFreePort()),
    COUNTERSIGN_DATA_DIR: join(folder, 'data'),
    COUNTERSIGN_KEYS_DIR: join(folder, 'keys'),
    COUNTERSIGN_LOG_LEVEL: 'silent',
  })
  const server = await startServer(config, {
    clock: systemClock,
    logger: createLogger(config.logLevel),
    tell: () => undefined,
    validateResponses: false,
  })
  starting.defer(() => server.stop())
  const running = starting.move()
  return {
    issuer: server.issuer,
    operatorKeyFile: join(config.keysDir, 'operator.json'),
    stop: () => running.disposeAsync(),
  }
}

/** The issuer names the port, so it must be known before the server listens. */
async function findFreePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}
