import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from '../config.ts'

/**
 * Members that may hold a secret wherever they appear. Nothing of ours logs them; this is the net below, for
 * an error object of a library that carries its request along.
 */
const SECRET_MEMBERS = [
  'assertion',
  'authorization',
  'access_token',
  'accessToken',
  'client_assertion',
  'client_secret',
  'password',
  'private_key',
  'privateKey',
  'secret',
  'token',
]

/** Shapes that are secrets whatever member they stand in: PEM blocks, JWTs, our own tokens and secrets. */
const SECRET_SHAPES =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)|eyJ[\w-]+\.[\w-]+\.[\w-]*|cs[kst]_[\w-]{43,}/g

/** JSON lines on standard output (or the given stream), with secrets taken out. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: SECRET_MEMBERS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[redacted]',
    },
    hooks: { streamWrite: (line: string) => line.replace(SECRET_SHAPES, '[redacted]') },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
