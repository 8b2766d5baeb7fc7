import { expect } from '@jest/globals'
import { sql } from 'kysely'
import type { Answer, TestServer } from '../support/server.ts'

/** The characters of RFC 6749 §5.2. */
const DESCRIPTION = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/

/** Expects the whole error envelope E0: status, error, media type, no caching, request id, safe description. */
export function expectRefusal(answer: Answer, status: number, error: string): void {
  expect({ status: answer.status, error: answer.body?.error, text: answer.text }).toEqual({
    status,
    error,
    text: answer.text,
  })
  expect(answer.headers.get('content-type')).toMatch(/^application\/json(;|$)/)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('pragma')).toBe('no-cache')
  expect(answer.headers.get('x-request-id')).toMatch(REQUEST_ID)
  expect(answer.body.error_description).toMatch(DESCRIPTION)
  expect(Object.keys(answer.body).sort()).toEqual(['error', 'error_description'])
}

/** Expects that nothing of what was sent stands in the answer. */
export function expectNoEcho(answer: Answer, ...sent: readonly string[]): void {
  for (const value of sent) expect(answer.text).not.toContain(value)
}

/** The log line of the request that was answered so: the operator's voice. */
export function logLineOf(server: TestServer, answer: Answer): Record<string, unknown> {
  const requestId = answer.headers.get('x-request-id')
  const lines = server.logs().filter((line) => line.requestId === requestId && line.msg === 'request')
  expect(lines).toHaveLength(1)
  return lines[0] as Record<string, unknown>
}

/** How many tokens were ever issued here: unchanged by every refusal. */
export async function countGrants(server: TestServer): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from grant_records`.execute(
    server.connection.db,
  )
  return rows[0]?.count ?? 0
}
