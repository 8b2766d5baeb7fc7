import { resolve } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { systemClock } from '../clock.ts'
import { type Config, parseConfig, readConfig, readNodeFlags } from '../config.ts'
import type { Invitation } from '../directory/invitations.ts'
import { OperatorError } from '../errors.ts'
import { createLogger } from '../observability/logger.ts'
import type { RunningServer } from '../server.ts'
import type { startWorkers } from '../workers/supervisor.ts'
import { findMemoryDumps } from './checks/process-memory.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'
import { COMMAND, DEMO_COMMAND } from './invocation.ts'

export type ServeOptions = ConfigurationFlags & { afterRestore?: true }

/** Within this time a signal is the first one again: npm passes Ctrl-C on to a server that has it already. */
const ECHO_MILLISECONDS = 1_000
/** What a shell makes of a process that a signal ended. */
const SIGNAL_EXIT_BASE = 128
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * Runs the server until SIGTERM, SIGINT or SIGHUP (its terminal is closed), then answers what is under way and ends with
 * exit code 0; a signal while it starts takes effect once it has. A second signal ends it at once. Throws OperatorError for
 * what the operator must mend.
 */
export async function serve(flags: ServeOptions): Promise<void> {
  const config = readConfig(toSettings(flags))
  if (config.production) refuseMemoryDumps()
  const logger = createLogger(config.logLevel)
  const stopSignal = nextSignal()
  let tell = print
  const start = await findStart(config)
  const server = await start(config, {
    clock: systemClock,
    logger,
    tell: (line) => tell(line),
    afterRestore: flags.afterRestore === true,
    validateResponses: false,
  })
  tell = (line) => logger.warn(line)
  // What a production server prints is collected and kept: there `countersign invite` makes the first administrator.
  const setUpLink = config.production ? undefined : await server.issueSetUpLink()
  print(describeStart(config, server, setUpLink))

  const signal = await stopSignal
  logger.info({ signal }, 'stopping')
  await server.stop()
  logger.info('stopped')
}

/** A process that only looks after others does not load what it takes to serve, nor one that serves what that takes. */
async function findStart({ workers }: Config): Promise<typeof startWorkers> {
  return workers === 1
    ? (await import('../server.ts')).startServer
    : (await import('../workers/supervisor.ts')).startWorkers
}

/** Private keys are in the clear in memory alone, and nothing may write that out by itself. */
function refuseMemoryDumps(): void {
  const dumps = findMemoryDumps(readNodeFlags())
  if (dumps.length === 0) return
  throw new OperatorError(
    `Node.js is started with ${dumps.join(' ')}: what that writes or shows holds private keys. Take it out where NODE_ENV is production.`,
  )
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Resolves with the first signal; from then on another one ends the process. */
function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    for (const [signal, number] of Object.entries(SIGNALS)) {
      process.on(signal, () => {
        if (firstAt !== undefined && performance.now() - firstAt > ECHO_MILLISECONDS) {
          process.exit(SIGNAL_EXIT_BASE + number)
        }
        firstAt ??= performance.now()
        resolve(signal)
      })
    }
  })
}

/** What the operator sees first: where everything is, and what to do next. */
function describeStart(config: Config, server: RunningServer, setUpLink: Invitation | undefined): string {
  const facts: [string, string][] = [
    ['Issuer', server.issuer],
    ['Listening on', server.url],
    ['Console', `${server.issuer}/console`],
    ['API reference', `${server.issuer}/docs`],
    [
      'Data',
      server.dataDir === undefined ? 'PostgreSQL of DATABASE_URL' : `${server.dataDir} (embedded PostgreSQL)`,
    ],
    ['Operator key', describeOperatorKey(server)],
    ...(config.workers === 1 ? [] : [['Workers', String(config.workers)] satisfies [string, string]]),
  ]
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  return [
    '',
    `Countersign ${manifest.version}`,
    '',
    ...facts.map(([name, value]) => `  ${name.padEnd(width)}${value}`),
    '',
    ...describeSetUp(setUpLink),
    ...describeNext(config, server).map((line) => `  ${line}`),
    '',
  ].join('\n')
}

/** Shown once, and kept nowhere. */
function describeSetUp(link: Invitation | undefined): string[] {
  if (link === undefined) return []
  const until = link.expiresAt.toISOString()
  return [`  Be the first administrator (good once, until ${until}):`, `    ${link.url}`, '']
}

function describeOperatorKey({ operatorKeyFile: file }: RunningServer): string {
  switch (file?.state) {
    case undefined:
      return 'the account operator was deleted'
    case 'created':
      return `${file.path} (new: whoever has this file owns the installation)`
    case 'present':
      return file.path
    case 'foreign':
      return `not here: ${file.path} is of another installation`
    case 'absent':
      return file.hasKeys ? 'registered; no key file here' : 'none yet'
  }
}

function describeNext(config: Config, { operatorKeyFile: file, issuer }: RunningServer): string[] {
  if (file === undefined) return []
  if (!file.hasKeys) {
    return [`Register a key of the operator:  ${COMMAND} bootstrap --public-key FILE`]
  }
  if (file.state !== 'created' && file.state !== 'present') return []
  const moved = file.issuer === issuer ? '' : ` --issuer ${issuer}`
  const token = `${COMMAND} token --key-file ${shorten(config.keysDir, file.path)}${moved}`
  return [`Try in another terminal:  ${token}`, `Or see the whole story:   ${describeDemo(config)}`]
}

/** The demo looks for the server where the defaults put it. */
function describeDemo({ issuer, keysDir }: Config): string {
  const defaults = parseConfig({})
  const flags = [
    ...(issuer === defaults.issuer ? [] : ['--issuer', issuer]),
    ...(keysDir === defaults.keysDir ? [] : ['--keys-dir', keysDir]),
  ]
  return flags.length === 0 ? DEMO_COMMAND : `${COMMAND} demo ${flags.join(' ')}`
}

/** The path as the operator gave it, when that means the same. */
function shorten(keysDir: string, path: string): string {
  const given = `${keysDir.replace(/^\.\//, '')}/operator.json`
  return resolve(given) === path ? given : path
}
