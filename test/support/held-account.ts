import type pg from 'pg'
import type { TestServer } from './server.ts'
import { until } from './until.ts'

/**
 * Holds an account as a change to it does, lets `meanwhile` begin, and once that waits for the account, goes on with
 * the change and commits. Answers what `meanwhile` came to.
 */
export async function changeWhile<Result>(
  { connection: { pool } }: TestServer,
  accountId: string,
  meanwhile: () => Promise<Result>,
  change: (client: pg.PoolClient) => Promise<unknown>,
): Promise<Result> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query(
      'select pg_backend_pid() as pid from accounts where id = $1 for no key update',
      [accountId],
    )
    const result = meanwhile()
    await until(async () => {
      const { rowCount } = await pool.query(
        'select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))',
        [rows[0].pid],
      )
      return rowCount === 1 ? true : undefined
    })
    await change(client)
    await client.query('commit')
    return await result
  } finally {
    client.release(true)
  }
}
