import { text } from 'node:stream/consumers'
import { OperatorError } from '../errors.ts'
import { readNamedFile } from './files.ts'
import { describeRefusal, postForm } from './http.ts'

export type IntrospectOptions = {
  issuer: string
  resourceServer?: string
  secretFile?: string
  bearerFile?: string
}

/**
 * Prints what the server says about a token, as JSON. Secrets come from files, never from arguments, which
 * every process of the machine can see. Throws OperatorError when the server refuses to say anything.
 */
export async function introspect(tokenOrDash: string, options: IntrospectOptions): Promise<void> {
  const authorization = await readAuthorization(options)
  const token = tokenOrDash === '-' ? (await text(process.stdin)).trim() : tokenOrDash
  if (token === '')
    throw new OperatorError('There is no token: give one as an argument or on standard input.')
  const url = `${options.issuer.replace(/\/$/, '')}/oauth/introspect`
  const answer = await postForm(url, { token }, { authorization })
  if (answer.status !== 200 || typeof answer.body?.active !== 'boolean') {
    throw new OperatorError(`${url} says nothing about the token: ${describeRefusal(answer)}`)
  }
  process.stdout.write(`${JSON.stringify(answer.body, null, 2)}\n`)
}

async function readAuthorization(options: IntrospectOptions): Promise<string> {
  const { resourceServer, secretFile, bearerFile } = options
  if (bearerFile !== undefined && resourceServer === undefined && secretFile === undefined) {
    return `Bearer ${(await readNamedFile(bearerFile, 'an access token')).trim()}`
  }
  if (bearerFile === undefined && resourceServer !== undefined && secretFile !== undefined) {
    return toBasic(
      resourceServer,
      (await readNamedFile(secretFile, 'a secret of the resource server')).trim(),
    )
  }
  throw new OperatorError(
    'Say who asks: --resource-server ID with --secret-file FILE, or --bearer-file FILE alone.',
  )
}

/** RFC 6749 §2.3.1; ids and secrets of ours need no form encoding. */
export function toBasic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}
