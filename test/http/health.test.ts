import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})

afterAll(() => server.close())

test('however many ask at once whether the server is ready, the database is asked for few of them', async () => {
  let taken = 0
  server.connection.pool.on('acquire', () => taken++)
  const answers = await Promise.all(
    Array.from({ length: 100 }, async () => (await fetch(`${server.url}/health/ready`)).status),
  )
  expect(new Set(answers)).toEqual(new Set([200]))
  expect(taken).toBeLessThan(100)
})
