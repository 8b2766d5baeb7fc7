import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { expect, test } from '@jest/globals'
import { createPasswordHasher } from '../../src/authentication/password.ts'
import { createBackgroundThread } from '../../src/background/thread.ts'
import { createKeyPairGenerator, ONE_PAIR } from '../../src/directory/key-pair.ts'
import { until } from '../support/until.ts'

const onLinux = process.platform === 'linux' ? test : test.skip

onLinux.each([
  ['a key pair is made', 19, () => createKeyPairGenerator(ONE_PAIR)('org_a', 4096)],
  ['a password is hashed', 5, () => createPasswordHasher().hash('a password of this test')],
])('while %s a thread has a niceness of %i, and the process keeps its own', async (_what, niceness, work) => {
  const own = getPriority()
  const working = work()
  await until(async () => nicenessOfThreads().includes(niceness) || undefined)
  expect(getPriority()).toBe(own)
  await working
  expect(getPriority()).toBe(own)
})

test('a thread that could not do a task is replaced for the next', async () => {
  const run = createBackgroundThread<
    { modulusLength: number; publicExponent: number },
    { privateKey: string }
  >('key-pair-thread', new URL('../../src/directory/key-pair.ts', import.meta.url).href)
  await expect(run({ modulusLength: 1, publicExponent: 65_537 })).rejects.toThrow()
  expect((await run({ modulusLength: 2048, publicExponent: 65_537 })).privateKey).toContain('PRIVATE KEY')
})

test('a thread that ends without an error is replaced as well, and nobody waits for it', async () => {
  const run = createBackgroundThread<number, string>('ending-thread', import.meta.url)
  expect(await run(0)).toBe('goes on')
  await expect(run(3)).rejects.toThrow('a thread has ended with code 3')
  expect(await run(0)).toBe('goes on')
})

/** From the 19th field of what Linux says of each thread (proc(5)). */
function nicenessOfThreads(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })
}
