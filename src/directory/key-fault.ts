import { type PrivateDetail, Refusal } from '../errors.ts'

/** The member of the request body that holds the key (RFC 6901). */
const POINTER = '/public_key'

/**
 * The refusal for key material that cannot be used. `words` are our own and say what to fix: neither the
 * input nor the message of a library is repeated in them, because what was sent may be a secret.
 */
export function keyFault(words: string, detail: PrivateDetail = {}): Refusal {
  return new Refusal(
    'input_invalid',
    { fault: words, ...detail },
    { faults: [{ pointer: POINTER, detail: words }] },
  )
}

/** The refusal for a private key in the place of a public one; `form` names how it came, never what came. */
export function privateKeyGiven(form: 'pem' | 'der' | 'jwk'): Refusal {
  return new Refusal(
    'private_key_given',
    { form },
    {
      hint:
        'This is a private key. It was not stored, but it has left its owner: treat it as compromised, ' +
        'make a new pair, and send only the public half (openssl pkey -in private.pem -pubout).',
      faults: [{ pointer: POINTER, detail: 'must be a public key; a private key was sent' }],
    },
  )
}
