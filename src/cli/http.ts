import { OperatorError } from '../errors.ts'

/** An answer, read whole. */
export type Answer = {
  status: number
  /** Parsed where it is JSON. */
  body: Readonly<Record<string, unknown>> | undefined
  requestId: string | undefined
}

const PATIENCE_MILLISECONDS = 30_000

/** Sends a form (RFC 6749, RFC 7662 requests). Throws OperatorError when nobody answers. */
export function postForm(
  url: string,
  form: Record<string, string | undefined>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const given = Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return request(url, { method: 'POST', headers, body: new URLSearchParams(given) })
}

/** Sends a request and reads the answer whole. Throws OperatorError when nobody answers. */
export async function request(url: string, init: RequestInit): Promise<Answer> {
  try {
    const response = await fetch(url, {
      ...init,
      // What is sent are credentials: they go where they were told to go, and nowhere else.
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
    })
    return {
      status: response.status,
      body: toObject(await response.text()),
      requestId: response.headers.get('x-request-id') ?? undefined,
    }
  } catch (error) {
    throw new OperatorError(`Cannot reach ${url} (${reasonOf(error)}): is the server running?`, {
      cause: error,
    })
  }
}

/** The line that says how a request was refused, with the id under which the server's log says why. */
export function describeRefusal({ status, body, requestId }: Answer): string {
  const code = body?.error ?? body?.code ?? 'no reason given'
  const description = body?.error_description ?? body?.detail
  return [
    `${status} ${code}`,
    typeof description === 'string' ? `: ${description}` : '',
    requestId === undefined ? '' : ` (request id ${requestId})`,
  ].join('')
}

function toObject(text: string): Answer['body'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** fetch says only that it failed; why is in the cause, for several addresses in the first of its errors. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'no answer in time'
  const cause = error.cause
  if (cause instanceof AggregateError) return String(cause.errors[0]?.message ?? 'connection failed')
  return cause instanceof Error ? cause.message : error.message
}
