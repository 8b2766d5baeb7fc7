import type { Db } from '../../database/connect.ts'
import { listPublishedSigningKeys } from '../../database/queries/signing-keys.ts'
import { listWrapped } from '../../database/queries/wrapped-secrets.ts'
import type { SigningKeyRow } from '../../database/tables.ts'
import { isWrappedByFirst, type KeyEncryptionKeys, unwrap } from '../../signing/envelope.ts'
import { observeActive, SIGNING_ALGORITHMS } from '../../signing/lifecycle.ts'
import { KINDS } from '../rekey.ts'
import { type Check, count, failed, ok, warning } from './check.ts'

const PAGE = 200
/** Every node looks every hour. */
const OVERDUE_SECONDS = 2 * 3600

/** Whether the key-encryption key fits the database: everything that is stored encrypted is opened with it. */
export async function checkStoredSecrets(db: Db, keys: KeyEncryptionKeys): Promise<Check> {
  const name = 'stored secrets'
  const tally = { opened: 0, stale: 0, closed: [] as string[] }
  for (const kind of KINDS) {
    let after = ''
    for (;;) {
      const secrets = await listWrapped(db, kind, { after, limit: PAGE })
      const last = secrets.at(-1)
      if (last === undefined) break
      after = last.id
      for (const { id, wrapped } of secrets) {
        const boundTo = kind.boundTo(id)
        if (isWrappedByFirst(wrapped, keys, boundTo)) tally.opened++
        else if (opens(wrapped, keys, boundTo)) tally.stale++
        else tally.closed.push(id)
      }
    }
  }
  if (tally.closed.length > 0) {
    return failed(
      name,
      `the key-encryption key does not open what is stored for ${tally.closed.slice(0, 5).join(', ')}${tally.closed.length > 5 ? ` and ${tally.closed.length - 5} others` : ''}`,
      'Give this node the key that it was wrapped with, after the present one, then run countersign rekey.',
    )
  }
  if (tally.stale > 0) {
    return warning(
      name,
      `${tally.stale} of ${tally.opened + tally.stale} are wrapped under a former key-encryption key`,
      'Run countersign rekey.',
    )
  }
  return ok(name, `${count(tally.opened, 'secret')}, all under the key-encryption key`)
}

/** Whether each algorithm has a key that signs and one that stands ready, and they take turns. `now` in milliseconds. */
export async function checkSigningKeys(db: Db, now: number, rotationDays: number): Promise<Check> {
  return judgeSigningKeys(await listPublishedSigningKeys(db), now, rotationDays)
}

/** Pure half of `checkSigningKeys`. */
function judgeSigningKeys(keys: readonly SigningKeyRow[], now: number, rotationDays: number): Check {
  const name = 'signing keys'
  if (keys.length === 0) return warning(name, 'there are none yet', 'Start a node: the first one makes them.')
  const lacks = (status: SigningKeyRow['status']) =>
    SIGNING_ALGORITHMS.filter(
      (algorithm) =>
        !keys.some(
          (key) => key.algorithm === algorithm && key.status === status && key.wrappedPrivateKey !== null,
        ),
    )
  const maintenance = 'A node mends that within the hour: see that one runs, and what its log says.'
  const [inactive, unready] = [lacks('active'), lacks('next')]
  if (inactive.length > 0) return failed(name, `no key signs for ${inactive.join(', ')}`, maintenance)
  if (unready.length > 0) return warning(name, `no key stands ready for ${unready.join(', ')}`, maintenance)
  const turns = observeActive(keys, now, rotationDays)
  const overdue = turns.filter(({ rotationInSeconds }) => rotationInSeconds < -OVERDUE_SECONDS)
  if (overdue.length > 0) {
    return warning(
      name,
      `the key for ${overdue
        .map(({ algorithm }) => algorithm)
        .toSorted()
        .join(', ')} should have been replaced`,
      maintenance,
    )
  }
  const next = Math.min(...turns.map(({ rotationInSeconds }) => rotationInSeconds))
  return ok(
    name,
    `one signs and one stands ready for each algorithm; the next turn is in ${Math.ceil(next / 86_400)} days`,
  )
}

function opens(wrapped: Buffer, keys: KeyEncryptionKeys, boundTo: string): boolean {
  try {
    unwrap(wrapped, keys, boundTo)
    return true
  } catch {
    return false
  }
}
