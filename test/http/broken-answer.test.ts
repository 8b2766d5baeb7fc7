import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({
    tarpit: async () => {
      throw new Error('a bug while a refusal is told')
    },
  })
})
afterAll(() => server.close())

test.each(['/oauth/token', '/oauth/introspect'])(
  'a bug while %s refuses costs that request alone',
  async (path) => {
    await expect(server.post(path, { grant_type: 'x', token: 'x' })).rejects.toThrow()
    expect(server.logs()).toContainEqual(expect.objectContaining({ msg: 'unexpected error' }))
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200)
  },
)
