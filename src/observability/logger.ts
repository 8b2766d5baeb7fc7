import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
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
  'cookie',
  'invitation',
  'invitation_url',
  'key_uri',
  'new_password',
  'password',
  'private_key',
  'privateKey',
  'recovery_codes',
  'secret',
  'token',
]

/**
 * Shapes that are secrets whatever member they stand in, as they look within a string of a JSON line. Each takes
 * time in proportion to the line, since callers choose much of what stands there, and none reaches beyond the
 * end of its string: a line that ended early would swallow the next one.
 */
const PRIVATE_KEY =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^"\\]|\\.)*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?="))/g
/** Looks once at each run of letters, and for `eyJ` only in one that two further parts follow. */
const JWT = /(?<![\w-])(?=[\w-]+\.[\w-]+\.)([\w-]*?)eyJ[\w-]+\.[\w-]+\.[\w-]*/g
/** Our own tokens and secrets. */
const SECRET = /cs[eikst]_[\w-]{43,}/g
const REDACTED = '[redacted]'

/**
 * A member of that name with its value, a text or a list, as it looks in a JSON line. Quotes within texts are
 * escaped there, so none of it can be forged from within a value.
 */
const SECRET_MEMBER = new RegExp(
  `"(${SECRET_MEMBERS.join('|')})":(?:"(?:[^"\\\\]|\\\\.)*"|\\[(?:[^"\\]]|"(?:[^"\\\\]|\\\\.)*")*\\])`,
  'g',
)
/** Bytes that wait while nobody takes them from standard output; beyond it lines are lost rather than the server. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Lines leave together, so that a busy server does not make a system call and wake a thread for each of them. */
const WRITE_BYTES = 8 * 1024
const WRITE_MILLISECONDS = 100

/**
 * What several processes write into one pipe stays apart as long as each write is no longer than this (PIPE_BUF of
 * Linux; POSIX write). A line that is longer by itself may be torn when the reader cannot keep up.
 */
const UNTORN_BYTES = 4 * 1024

/** Standard output of a process that has it for itself. */
function standardOutput(): DestinationStream {
  return toStandardOutput({ minLength: WRITE_BYTES })
}

/** Standard output that other processes write to as well: whole lines leave, a few at a time. */
export function sharedStandardOutput(): DestinationStream {
  return toStandardOutput({ minLength: UNTORN_BYTES / 2, maxWrite: UNTORN_BYTES })
}

function toStandardOutput(sizes: { minLength: number; maxWrite?: number }): DestinationStream {
  return destination({
    sync: false,
    maxLength: MAX_WAITING_BYTES,
    periodicFlush: WRITE_MILLISECONDS,
    ...sizes,
  })
}

/**
 * JSON lines on standard output (or the given stream), with secrets taken out. Lines leave in the background, in
 * order: whoever reads them slowly does not hold up requests. Those under way are written when the process ends.
 */
export function createLogger(level: LogLevel, stream: DestinationStream = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: redact },
  }
  return pino(options, stream)
}

function redact(line: string): string {
  return line
    .replace(SECRET_MEMBER, `"$1":"${REDACTED}"`)
    .replace(PRIVATE_KEY, REDACTED)
    .replace(JWT, `$1${REDACTED}`)
    .replace(SECRET, REDACTED)
}
