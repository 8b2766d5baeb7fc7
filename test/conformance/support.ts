import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from '@jest/globals'
import type { Answer, TestServer } from '../support/server.ts'

/** RFC 6749 §5.2: no quotation mark, no backslash, nothing outside printable ASCII. */
const DESCRIPTION = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/

/** The whole error envelope of an OAuth endpoint: E0 of conformance.md, with a challenge exactly on a 401. */
export function expectRefusal(answer: Answer, status: number, error: string): void {
  expect({ status: answer.status, error: answer.body?.error }).toEqual({ status, error })
  expect(Object.keys(answer.body).sort()).toEqual(['error', 'error_description'])
  expect(answer.body.error_description).toMatch(DESCRIPTION)
  expect(answer.headers.get('content-type')).toMatch(/^application\/json(; charset=utf-8)?$/)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('pragma')).toBe('no-cache')
  expect(answer.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/)
  expect(answer.headers.has('www-authenticate')).toBe(status === 401)
}

/** How many tokens were ever issued. */
export async function countGrants(server: TestServer): Promise<number> {
  const { rows } = await server.connection.pool.query('select count(*)::int as count from grant_records')
  return rows[0].count
}

/** Runs requests that must not leave a token behind. */
export async function expectNothingIssued<Result>(
  server: TestServer,
  send: () => Promise<Result>,
): Promise<Result> {
  const before = await countGrants(server)
  const result = await send()
  expect(await countGrants(server)).toBe(before)
  return result
}

/** The operator's voice: the log line with the request id of this answer. It is written as the answer leaves. */
export async function findLogLine(
  server: TestServer,
  answer: Pick<Answer, 'headers'>,
): Promise<Record<string, unknown>> {
  const requestId = answer.headers.get('x-request-id')
  for (let attempt = 0; attempt < 100; attempt++) {
    const line = server.logs().find((entry) => entry.requestId === requestId && entry.msg === 'request')
    if (line !== undefined) return line
    await sleep(10)
  }
  throw new Error(`no log line for ${requestId}`)
}

/** A refusal in both voices: the envelope for the caller, the exact reason in the log under the same id. */
export async function expectRefusalFor(
  server: TestServer,
  answer: Answer,
  expected: { status?: number; error: string; reason: string },
): Promise<void> {
  expectRefusal(answer, expected.status ?? 400, expected.error)
  expect((await findLogLine(server, answer)).reason).toBe(expected.reason)
}
