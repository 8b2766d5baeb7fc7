import { createPrivateKey, createPublicKey } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { createKeyPairGenerator, type ModulusLength } from '../../src/directory/key-pair.ts'
import { parsePublicKey } from '../../src/directory/public-key.ts'
import { Refusal } from '../../src/errors.ts'

const ROOMY = { maxWaiting: 100, maxMilliseconds: 100_000, maxPerOrganization: 100 }

test.each<[ModulusLength]>([[2048], [3072], [4096]])(
  '[key-gen] a pair of %i bits is what was asked for',
  async (bits) => {
    const { privateKeyPem, material } = await createKeyPairGenerator(ROOMY)('org_a', bits)
    expect(privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
    expect(material).toMatchObject({ algorithm: 'RS256', modulusLength: bits, publicKey: { e: 'AQAB' } })
    const publicPem = createPublicKey(createPrivateKey(privateKeyPem)).export({ type: 'spki', format: 'pem' })
    expect(parsePublicKey(publicPem.toString())).toEqual(material)
  },
)

test('the event loop goes on while 4096-bit keys are made', async () => {
  const intervalMilliseconds = 10
  let ticks = 0
  const timer = setInterval(() => ticks++, intervalMilliseconds)
  const start = performance.now()
  try {
    const generate = createKeyPairGenerator(ROOMY)
    await Promise.all([1, 2, 3, 4].map(() => generate('org_a', 4096)))
  } finally {
    clearInterval(timer)
  }
  // Made on the event loop, four keys would leave room for about four ticks, however long they take. A
  // machine with other work still gives this process a good part of its ticks.
  expect(ticks).toBeGreaterThan(8)
  expect(ticks).toBeGreaterThan((performance.now() - start) / intervalMilliseconds / 10)
}, 120_000)

test('pairs are made one after the other, in order', async () => {
  const generate = createKeyPairGenerator(ROOMY)
  const finished: number[] = []
  await Promise.all([1, 2, 3, 4].map((n) => generate('org_a', 2048).then(() => finished.push(n))))
  expect(finished).toEqual([1, 2, 3, 4])
})

test('beyond what may wait, a request is refused at once and told when to come back', async () => {
  const generate = createKeyPairGenerator({
    ...ROOMY,
    maxWaiting: 1,
    maxPerOrganization: 9,
  })
  const accepted = [generate('org_a', 2048), generate('org_b', 2048)]
  const refusal = await refusalOf(generate('org_c', 2048))
  expect(refusal.reason).toBe('key_generation_busy')
  expect(refusal.detail).toEqual({ limit: 'server', waiting: 1 })
  expect(refusal.told.retryAfterSeconds).toBeGreaterThan(0)
  await Promise.all(accepted)
  await expect(generate('org_c', 2048)).resolves.toBeDefined()
})

test('whose pair is not there in time is refused, be it waited for or in the making, whose turn lasts to its end', async () => {
  const generate = createKeyPairGenerator({ ...ROOMY, maxWaiting: 1, maxMilliseconds: 1 })
  const refusals = await Promise.all([refusalOf(generate('org_a', 4096)), refusalOf(generate('org_b', 2048))])
  for (const refusal of refusals) {
    expect(refusal.reason).toBe('key_generation_busy')
    expect(refusal.detail).toMatchObject({ limit: 'time' })
  }
  const next = generate('org_c', 2048)
  expect((await refusalOf(generate('org_c', 2048))).detail).toEqual({
    limit: 'server',
    waiting: 1,
  })
  expect((await refusalOf(next)).detail).toEqual({ limit: 'time', waiting: 1 })
  await expect(createKeyPairGenerator(ROOMY)('org_c', 2048)).resolves.toBeDefined()
})

test('one organization cannot take the turns of the others', async () => {
  const generate = createKeyPairGenerator({
    ...ROOMY,
    maxWaiting: 9,
    maxPerOrganization: 2,
  })
  const accepted = [generate('org_a', 2048), generate('org_a', 2048)]
  const refusal = await refusalOf(generate('org_a', 2048))
  expect(refusal.detail).toEqual({ limit: 'organization', underWay: 2 })
  await expect(generate('org_b', 2048)).resolves.toBeDefined()
  await Promise.all(accepted)
  await expect(generate('org_a', 2048)).resolves.toBeDefined()
})

test('a generation that fails gives its turn back', async () => {
  const generate = createKeyPairGenerator({
    ...ROOMY,
    maxWaiting: 0,
    maxPerOrganization: 1,
  })
  const impossible = 1 as ModulusLength
  await expect(generate('org_a', impossible)).rejects.toThrow()
  await sleep(0)
  await expect(generate('org_a', 2048)).resolves.toBeDefined()
})

async function refusalOf(promise: Promise<unknown>): Promise<Refusal> {
  const outcome = await promise.catch((error: unknown) => error)
  if (outcome instanceof Refusal) return outcome
  throw new Error('nothing was refused')
}
