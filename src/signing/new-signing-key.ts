import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import type { NewSigningKey } from '../database/queries/signing-keys.ts'
import type { PublicJwk, SigningAlgorithm } from '../database/tables.ts'
import { newId } from '../ids.ts'
import { type KeyEncryptionKeys, wrap } from './envelope.ts'

const RSA_MODULUS_LENGTH = 2048

/** Makes a key pair, off the event loop; the private half leaves here wrapped. `now` in milliseconds. */
export async function createSigningKey(
  algorithm: SigningAlgorithm,
  keyEncryptionKeys: KeyEncryptionKeys,
  now: number,
): Promise<NewSigningKey> {
  const pair = await generateKeyPair(algorithm, { extractable: true, modulusLength: RSA_MODULUS_LENGTH })
  const id = newId('sig', now)
  return {
    id,
    algorithm,
    publicKey: (await exportJWK(pair.publicKey)) as PublicJwk,
    wrappedPrivateKey: wrap(Buffer.from(await exportPKCS8(pair.privateKey)), keyEncryptionKeys, id),
  }
}
