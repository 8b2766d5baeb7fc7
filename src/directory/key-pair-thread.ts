import { generateKeyPairSync } from 'node:crypto'
import { doTasks } from '../background/task.ts'

/** What a thread of this module is sent, and what it answers. */
export type PairToMake = { modulusLength: number; publicExponent: number }
export type RsaPem = { privateKey: string; publicKey: string }

/** As low as it goes: whoever has asked for a pair can wait, and those who ask for tokens cannot. */
const NICENESS = 19

doTasks(NICENESS, ({ modulusLength, publicExponent }: PairToMake): RsaPem => {
  return generateKeyPairSync('rsa', {
    modulusLength,
    publicExponent,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
})
