import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import { parseDatabaseUrl } from './database-url.ts'
import { codeOf, messageOf, OperatorError } from './errors.ts'

/** Everything that can be set, validated and frozen. Made once at start; passed in parts to those who need it. */
export type Config = {
  /** `NODE_ENV=production`: refuse to start rather than run unsafely. */
  production: boolean
  port: number
  host: string
  /** The issuer identifier (RFC 8414 §2), byte for byte as clients must use it. */
  issuer: string
  database: { kind: 'embedded'; dataDir: string | undefined } | { kind: 'external'; url: string }
  /** Of each worker. */
  databasePoolSize: number
  /** Processes that serve. */
  workers: number
  /** Apply pending migrations at start. The embedded database always does. */
  migrate: boolean
  keysDir: string
  /** Where the key-encryption key comes from: the environment, a file, or `<keysDir>/key-encryption-key`. */
  keyEncryptionKey: { value: string } | { file: string } | undefined
  metricsPort: number | undefined
  logLevel: LogLevel
  /** Addresses and subnets whose `X-Forwarded-*` headers are believed. */
  trustedProxies: readonly string[]
  /** The header, in lower case, in which they pass on client certificates (RFC 9440); undefined: they do not. */
  clientCertificateHeader: string | undefined
  grantRecordRetentionDays: number
  auditRetentionDays: number
  signingKeyRotationDays: number
}

/** Beyond it more nodes serve better than more workers: PostgreSQL and its connections are shared by all of them. */
const MAX_DEFAULT_WORKERS = 4
const DEFAULT_POOL_SIZE = 10
/** What the embedded PostgreSQL has for a server (database/cluster.ts). */
const MAX_EMBEDDED_CONNECTIONS = 200

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const port = wholeNumber('a port number', 0, 65_535)
const days = (least: number) => wholeNumber('a number of days', least, 36_500)
const flag = z
  .enum(['true', 'false', '1', '0'], { error: 'must be true or false' })
  .transform((text) => text === 'true' || text === '1')

/** Every setting: its variable, its form and its default. `check-config` and docs/operations.md are made from this. */
export const SETTINGS = {
  COUNTERSIGN_PORT: port.default(8080).describe('TCP port of the HTTP server; 0 takes any free one'),
  COUNTERSIGN_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('address to listen on, for requests and metrics; 0.0.0.0 in the container image'),
  COUNTERSIGN_ISSUER: z
    .string()
    .superRefine(checkIssuer)
    .optional()
    .describe(
      'issuer identifier, default http://localhost:<port>; never taken from a request. Changing it ends the tokens issued under the old one',
    ),
  DATABASE_URL: z
    .string()
    .superRefine(checkDatabaseUrl)
    .optional()
    .describe(
      'PostgreSQL 15 or later; several hosts for a primary and its standbys; without it an embedded one runs',
    ),
  COUNTERSIGN_DATABASE_POOL_SIZE: wholeNumber('a number of connections', 3, 200)
    .default(DEFAULT_POOL_SIZE)
    .describe(
      'connections to PostgreSQL of each worker: half for tokens and introspection, half for everything else',
    ),
  COUNTERSIGN_WORKERS: wholeNumber('a number of workers', 1, 64)
    .optional()
    .describe(
      'processes that serve; default one for each core, 4 at most, and 1 with the embedded database, which needs the cores too',
    ),
  COUNTERSIGN_DATA_DIR: z
    .string()
    .min(1)
    .optional()
    .describe('folder of the embedded database, default ./data'),
  COUNTERSIGN_MIGRATE: flag
    .default(false)
    .describe('apply pending migrations at start (the embedded database always does)'),
  COUNTERSIGN_KEYS_DIR: z
    .string()
    .min(1)
    .default('./keys')
    .describe(
      'folder of this installation’s secrets; the key-encryption key is in it unless it is set otherwise',
    ),
  COUNTERSIGN_KEY_ENCRYPTION_KEY: z
    .string()
    .optional()
    .describe('32 bytes in base64; wraps what is stored encrypted. Further ones, after a comma, only open'),
  COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('file that holds it instead, one key on a line'),
  COUNTERSIGN_METRICS_PORT: port
    .optional()
    .describe('TCP port of the Prometheus metrics at /metrics, off by default'),
  COUNTERSIGN_LOG_LEVEL: z
    .enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` })
    .default('info')
    .describe('least severity that is logged: fatal, error, warn, info, debug, trace or silent'),
  COUNTERSIGN_TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .superRefine(checkProxies)
    .describe(
      'addresses and subnets of reverse proxies whose X-Forwarded headers are believed, separated by commas',
    ),
  COUNTERSIGN_CLIENT_CERTIFICATE_HEADER: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be the name of a header, such as Client-Cert')
    .transform((text) => text.toLowerCase())
    .optional()
    .describe(
      'header in which trusted proxies pass on client certificates, as Client-Cert of RFC 9440; off by default',
    ),
  COUNTERSIGN_GRANT_RECORD_RETENTION_DAYS: days(2)
    .default(30)
    .describe('days that the records of issued tokens are kept, at least 2'),
  COUNTERSIGN_AUDIT_RETENTION_DAYS: days(1).default(400).describe('days that audit events are kept'),
  COUNTERSIGN_SIGNING_KEY_ROTATION_DAYS: days(1)
    .default(90)
    .describe('days that a signing key signs before the next one takes its place'),
} as const

/** The environment by name; `undefined` and the empty string both mean «not set». */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration of this process: the environment, below it a `.env` file in the current folder,
 * above both the command line's flags (given under their variables' names).
 * Throws OperatorError that names every fault at once.
 */
export function readConfig(flags: Environment = {}): Config {
  return parseConfig(Object.assign({}, ...sources(flags).map((source) => source.values)))
}

/** Where a setting's value comes from. */
export type Origin = 'default' | '.env' | 'environment' | 'command line'

/** A setting as it was given, before it is judged; `value` is undefined where the default holds. */
export type GivenSetting = { name: SettingName; value: string | undefined; origin: Origin }
export type SettingName = keyof typeof SETTINGS

/** Every setting with what it was given as and where. Judges nothing. Throws OperatorError for an unreadable `.env`. */
export function readSettings(flags: Environment = {}): GivenSetting[] {
  const given = sources(flags).toReversed()
  return (Object.keys(SETTINGS) as SettingName[]).map((name) => {
    const source = given.find(({ values }) => name in values)
    return { name, value: source?.values[name], origin: source?.origin ?? 'default' }
  })
}

/** The last one wins. */
function sources(flags: Environment): { origin: Origin; values: Record<string, string> }[] {
  return [
    { origin: '.env', values: withoutEmpty(readDotEnv()) },
    { origin: 'environment', values: withoutEmpty(process.env) },
    { origin: 'command line', values: withoutEmpty(flags) },
  ]
}

/** Whether traces are to be sent, by the standard variables of OpenTelemetry, which its SDK reads itself. */
export function isTracingAsked(): boolean {
  const { OTEL_SDK_DISABLED, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env
  return (
    OTEL_SDK_DISABLED !== 'true' && Boolean(OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
  )
}

/** The flags that Node.js itself was started with, by command line or `NODE_OPTIONS`. */
export function readNodeFlags(): string[] {
  return [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)].filter((flag) => flag !== '')
}

/** The pure half of `readConfig`: judges one environment. Throws OperatorError that names every fault. */
export function parseConfig(environment: Environment): Config {
  const given = withoutEmpty(environment)
  const result = z.object(SETTINGS).safeParse(given)
  const faults = [
    ...unknownSettings(given),
    ...(result.error?.issues ?? []).map((issue) => `${issue.path.join('.')} ${issue.message}`),
    ...conflicts(given),
  ]
  if (!result.success || faults.length > 0) {
    throw new OperatorError(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
  }
  return Object.freeze(toConfig(result.data, given.NODE_ENV === 'production'))
}

function toConfig(settings: z.infer<z.ZodObject<typeof SETTINGS>>, production: boolean): Config {
  return {
    production,
    port: settings.COUNTERSIGN_PORT,
    host: settings.COUNTERSIGN_HOST,
    issuer: settings.COUNTERSIGN_ISSUER ?? `http://localhost:${settings.COUNTERSIGN_PORT}`,
    database:
      settings.DATABASE_URL === undefined
        ? { kind: 'embedded', dataDir: settings.COUNTERSIGN_DATA_DIR }
        : { kind: 'external', url: settings.DATABASE_URL },
    databasePoolSize: settings.COUNTERSIGN_DATABASE_POOL_SIZE,
    workers: settings.COUNTERSIGN_WORKERS ?? defaultWorkers(settings.DATABASE_URL !== undefined),
    migrate: settings.COUNTERSIGN_MIGRATE,
    keysDir: settings.COUNTERSIGN_KEYS_DIR,
    keyEncryptionKey:
      settings.COUNTERSIGN_KEY_ENCRYPTION_KEY !== undefined
        ? { value: settings.COUNTERSIGN_KEY_ENCRYPTION_KEY }
        : settings.COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE !== undefined
          ? { file: settings.COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE }
          : undefined,
    metricsPort: settings.COUNTERSIGN_METRICS_PORT,
    logLevel: settings.COUNTERSIGN_LOG_LEVEL,
    trustedProxies: settings.COUNTERSIGN_TRUSTED_PROXIES,
    clientCertificateHeader: settings.COUNTERSIGN_CLIENT_CERTIFICATE_HEADER,
    grantRecordRetentionDays: settings.COUNTERSIGN_GRANT_RECORD_RETENTION_DAYS,
    auditRetentionDays: settings.COUNTERSIGN_AUDIT_RETENTION_DAYS,
    signingKeyRotationDays: settings.COUNTERSIGN_SIGNING_KEY_ROTATION_DAYS,
  }
}

/** PostgreSQL on the same machine would share the cores with them. */
function defaultWorkers(isDatabaseElsewhere: boolean): number {
  return isDatabaseElsewhere ? Math.min(availableParallelism(), MAX_DEFAULT_WORKERS) : 1
}

/** Whether a host name or address is this machine's own. */
export function isLoopbackHost(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d{1,3}){3}$/.test(hostname)
  )
}

/** A typo in a variable's name must not silently leave the default in force. */
function unknownSettings(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('COUNTERSIGN_') && !(name in SETTINGS))
    .map((name) => `${name} is not a setting of Countersign`)
}

/** Rules that look at more than one setting. */
function conflicts(environment: Environment): string[] {
  const faults: string[] = []
  if (
    environment.COUNTERSIGN_KEY_ENCRYPTION_KEY !== undefined &&
    environment.COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE !== undefined
  ) {
    faults.push(
      'COUNTERSIGN_KEY_ENCRYPTION_KEY and COUNTERSIGN_KEY_ENCRYPTION_KEY_FILE are both set; set one',
    )
  }
  if (environment.DATABASE_URL !== undefined && environment.COUNTERSIGN_DATA_DIR !== undefined) {
    faults.push(
      'DATABASE_URL and COUNTERSIGN_DATA_DIR are both set; the data folder is only for the embedded database',
    )
  }
  if (
    environment.COUNTERSIGN_CLIENT_CERTIFICATE_HEADER !== undefined &&
    environment.COUNTERSIGN_TRUSTED_PROXIES === undefined
  ) {
    faults.push(
      'COUNTERSIGN_CLIENT_CERTIFICATE_HEADER is set and COUNTERSIGN_TRUSTED_PROXIES is not; nobody would be believed',
    )
  }
  const connections =
    Number(environment.COUNTERSIGN_WORKERS ?? 1) *
    Number(environment.COUNTERSIGN_DATABASE_POOL_SIZE ?? DEFAULT_POOL_SIZE)
  if (environment.DATABASE_URL === undefined && connections > MAX_EMBEDDED_CONNECTIONS) {
    faults.push(
      `COUNTERSIGN_WORKERS times COUNTERSIGN_DATABASE_POOL_SIZE is ${connections}; the embedded database has ${MAX_EMBEDDED_CONNECTIONS} connections`,
    )
  }
  if (environment.COUNTERSIGN_PORT === '0' && environment.COUNTERSIGN_ISSUER === undefined) {
    faults.push('COUNTERSIGN_ISSUER must be set when COUNTERSIGN_PORT is 0: the port is not known beforehand')
  }
  if (environment.NODE_ENV === 'production') {
    const issuer = environment.COUNTERSIGN_ISSUER
    if (issuer === undefined) {
      faults.push('COUNTERSIGN_ISSUER must be set when NODE_ENV is production')
    } else if (
      URL.canParse(issuer) &&
      new URL(issuer).protocol === 'http:' &&
      !isLoopbackHost(new URL(issuer).hostname)
    ) {
      faults.push(
        'COUNTERSIGN_ISSUER must be https when NODE_ENV is production: tokens and assertions travel to it',
      )
    }
  }
  return faults
}

/** A number that is one, whole and within its bounds; the one message says what would do. */
function wholeNumber(what: string, least: number, most: number) {
  const error = `must be ${what} from ${least} to ${most}`
  return z
    .string()
    .regex(/^\d+$/, error)
    .transform(Number)
    .pipe(z.number().min(least, error).max(most, error))
}

/** RFC 8414 §2: a URL without query and fragment; ours ends without a slash, since endpoints are appended. */
function checkIssuer(text: string, context: z.RefinementCtx): void {
  const fault = issuerFault(text)
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
}

function issuerFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be an https URL'
  if (url.search !== '' || text.includes('?')) return 'must have no query (RFC 8414 §2)'
  if (url.hash !== '' || text.includes('#')) return 'must have no fragment (RFC 8414 §2)'
  if (url.username !== '' || url.password !== '') return 'must have no user name or password'
  if (text.endsWith('/')) return 'must not end with a slash'
  if (url.href !== text && url.href !== `${text}/`)
    return `must be in its normal form, ${url.href.replace(/\/$/, '')}`
  return undefined
}

const PROXY_NAMES = ['loopback', 'linklocal', 'uniquelocal']
const SUBNET = /^([^/]+)(?:\/(\d{1,3}))?$/

/** What Express takes for `trust proxy`, which throws at anything else. */
function isProxy(text: string): boolean {
  if (PROXY_NAMES.includes(text)) return true
  const [, address = '', prefix] = SUBNET.exec(text) ?? []
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
  return (
    bits > 0 &&
    !address.includes('%') &&
    (prefix === undefined || (Number(prefix) > 0 && Number(prefix) <= bits))
  )
}

function checkDatabaseUrl(text: string, context: z.RefinementCtx): void {
  try {
    parseDatabaseUrl(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) })
  }
}

function checkProxies(proxies: readonly string[], context: z.RefinementCtx): void {
  for (const proxy of proxies) {
    if (!isProxy(proxy))
      context.addIssue({ code: 'custom', message: `has «${proxy}», which is not an address or subnet` })
  }
}

function withoutEmpty(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
    ),
  )
}

function readDotEnv(): Environment {
  try {
    return withoutEmpty(parseEnv(readFileSync('.env', 'utf8')))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {}
    throw new OperatorError(`The file .env cannot be read: ${messageOf(error)}`)
  }
}
