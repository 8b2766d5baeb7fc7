import { generateKeyPairSync } from 'node:crypto'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'

/** What a thread of this module is sent; for each it posts `RsaPem`. */
export type PairToMake = { modulusLength: number; publicExponent: number }
export type RsaPem = { privateKey: string; publicKey: string }

/** As low as it goes: whoever has asked for a pair can wait, and those who ask for tokens cannot. */
const LOWEST = 19

stepBack()
parentPort?.on('message', (pair: PairToMake) => parentPort?.postMessage(make(pair)))

/** Linux has priorities of threads. Elsewhere this would be the whole process'. Where it is forbidden nothing is lost but time. */
function stepBack(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(LOWEST)
  } catch {
    // A sandbox does not let us.
  }
}

function make({ modulusLength, publicExponent }: PairToMake): RsaPem {
  return generateKeyPairSync('rsa', {
    modulusLength,
    publicExponent,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
}
