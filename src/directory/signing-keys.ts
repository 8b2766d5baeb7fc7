import type { Trx } from '../database/connect.ts'
import { countLiveTokensOfSigningKey, type LiveTokens } from '../database/queries/live-tokens.ts'
import {
  activateSigningKey,
  findSigningKey,
  insertSigningKey,
  listPublishedSigningKeys,
  lockSigningKeys,
  type NewSigningKey,
  listSigningKeys as querySigningKeys,
  removeSigningKey,
  retireSigningKey,
} from '../database/queries/signing-keys.ts'
import type { SigningKeyRow } from '../database/tables.ts'
import { transactEnding } from '../database/transaction.ts'
import { Refusal } from '../errors.ts'
import {
  dueAt,
  planMaintenance,
  planRevocation,
  planRotation,
  readyAt,
  type Step,
} from '../signing/lifecycle.ts'
import { createSigningKey } from '../signing/new-signing-key.ts'
import { type Actor, systemActor } from './actor.ts'
import { type AuditAction, type AuditEntry, changesBetween, createdAs, recordChanges } from './audit.ts'
import { type Listing, type PageRequest, readPage } from './pages.ts'
import { notFound, requireFound, requireOperator } from './reach.ts'
import { operatorOrganizationId } from './resource-servers.ts'
import type { DirectoryServices, RotationServices, SealingServices } from './services.ts'

/** A signing key as it is shown. `dueAt`: when the server itself means to move it on. */
export type SigningKey = Omit<SigningKeyRow, 'wrappedPrivateKey'> & { dueAt: Date | null }

type Services = Pick<DirectoryServices, 'db' | 'clock'> & SealingServices & RotationServices

/** All signing keys that there ever were, newest first. Throws Refusal `permission_missing`. */
export async function listSigningKeys(
  { db, signingKeyRotationDays }: Services,
  actor: Actor,
  request: PageRequest,
): Promise<Listing<SigningKey>> {
  requireOperator(actor)
  const published = await listPublishedSigningKeys(db)
  const { items, nextCursor } = await readPage(request, (page) => querySigningKeys(db, page))
  return { items: items.map((key) => show(key, published, signingKeyRotationDays)), nextCursor }
}

/** One signing key, also one that is gone. Throws Refusal `permission_missing` or `resource_not_found`. */
export async function getSigningKey(services: Services, actor: Actor, id: string): Promise<SigningKey> {
  requireOperator(actor)
  const { db, signingKeyRotationDays } = services
  const key = requireFound(await findSigningKey(db, id), 'signing key', id)
  return show(key, await listPublishedSigningKeys(db), signingKeyRotationDays)
}

/** How many live access tokens would be inactive without that key. Throws Refusal `permission_missing`. */
export async function countTokensOfSigningKey(
  { db, clock }: Pick<DirectoryServices, 'db' | 'clock'>,
  actor: Actor,
  key: SigningKey,
): Promise<LiveTokens> {
  requireOperator(actor)
  if (key.status === 'gone') return { tokens: 0, isMore: false }
  return countLiveTokensOfSigningKey(db, key, clock.now())
}

/**
 * Lets the keys that stand ready sign from now on, all algorithms at once. The former ones go on verifying until the
 * last of their tokens has expired. Answers the published keys.
 * Throws Refusal `permission_missing`, or `signing_key_not_ready` when a verifier may not have seen one yet.
 */
export async function rotateSigningKeys(services: Services, actor: Actor): Promise<SigningKey[]> {
  requireOperator(actor)
  const { clock } = services
  await changeKeys(services, actor, (keys) => {
    const now = clock.now()
    const { steps, unready } = planRotation(keys, now)
    if (unready.length === 0) return steps
    const readyAtLast = Math.max(...unready.map(readyAt))
    throw new Refusal(
      'signing_key_not_ready',
      { unready: unready.map(({ id }) => id), readyAt: new Date(readyAtLast) },
      { retryAfterSeconds: Math.ceil((readyAtLast - now) / 1000) },
    )
  })
  const published = await listPublishedSigningKeys(services.db)
  return published.map((key) => show(key, published, services.signingKeyRotationDays))
}

/**
 * Ends a key that others may have. When this returns no node signs with it, its tokens are inactive on all of them, it
 * is published no more, and another key has taken its place. The second time nothing happens.
 * Throws Refusal `permission_missing` or `resource_not_found`.
 */
export async function revokeSigningKey(services: Services, actor: Actor, id: string): Promise<SigningKey> {
  requireOperator(actor)
  await changeKeys(services, actor, (keys) => planRevocation(keys, id))
  const key = await findSigningKey(services.db, id)
  if (key === undefined) throw notFound('signing key', id)
  return show(key, [key], services.signingKeyRotationDays)
}

/** What a turn of maintenance did. */
export type SigningKeyChange = { kind: Step['kind']; algorithm: string; id: string }

/**
 * Does what is due: makes keys that are missing, lets them take turns, removes those that have had theirs. Safe on
 * any number of nodes at once, as often as wished: who comes second finds nothing left to do.
 */
export async function maintainSigningKeys(services: Services): Promise<SigningKeyChange[]> {
  return changeKeys(services, systemActor, (keys) =>
    planMaintenance(keys, services.clock.now(), services.signingKeyRotationDays),
  )
}

type Plan = (keys: readonly SigningKeyRow[]) => Step<SigningKeyRow>[]

/**
 * Carries a plan out. Key pairs are made before anybody has to wait: the plan is asked twice, once to see what it
 * needs and once under the lock, when nobody else can change the keys.
 */
async function changeKeys(services: Services, actor: Actor, plan: Plan): Promise<SigningKeyChange[]> {
  const { db, clock } = services
  const intended = plan(await listPublishedSigningKeys(db))
  if (intended.length === 0) return []
  const pairs = await makePairs(services, intended)
  return transactEnding(db, async (trx) => {
    await lockSigningKeys(trx)
    const now = clock.now()
    const organizationId = await operatorOrganizationId(trx)
    const changes: SigningKeyChange[] = []
    for (const step of plan(await listPublishedSigningKeys(trx))) {
      const { change, entry } = await take(trx, step, { services, pairs, now: new Date(now) })
      changes.push(change)
      await recordChanges(trx, actor, now, [{ organizationId, ...entry }])
    }
    return changes
  })
}

async function makePairs(services: Services, steps: readonly Step[]): Promise<NewSigningKey[]> {
  const created = steps.filter((step) => step.kind === 'create')
  return Promise.all(
    created.map(({ algorithm }) =>
      createSigningKey(algorithm, services.keyEncryptionKeys, services.clock.now()),
    ),
  )
}

const ACTIONS = {
  activate: 'signing_key.activated',
  retire: 'signing_key.retired',
  remove: 'signing_key.removed',
  revoke: 'signing_key.revoked',
} as const satisfies Record<string, AuditAction>

const NEXT_STATUS = { activate: 'active', retire: 'retiring', remove: 'gone', revoke: 'gone' } as const

async function take(
  trx: Trx,
  step: Step<SigningKeyRow>,
  { services, pairs, now }: { services: Services; pairs: NewSigningKey[]; now: Date },
): Promise<{ change: SigningKeyChange; entry: Omit<AuditEntry, 'organizationId'> }> {
  if (step.kind === 'create') {
    const { algorithm, status } = step
    const position = pairs.findIndex((pair) => pair.algorithm === algorithm)
    const [made] = position < 0 ? await makePairs(services, [step]) : pairs.splice(position, 1)
    if (made === undefined) throw new Error('no key pair was made')
    await insertSigningKey(trx, made, { status, now })
    return {
      change: { kind: step.kind, algorithm, id: made.id },
      entry: {
        action: 'signing_key.created',
        target: { id: made.id, kind: 'signing_key', name: algorithm },
        changes: createdAs({ algorithm, status }),
      },
    }
  }
  const { id, algorithm, status } = step.key
  switch (step.kind) {
    case 'activate':
      await activateSigningKey(trx, id, now)
      break
    case 'retire':
      await retireSigningKey(trx, id, now)
      break
    case 'remove':
    case 'revoke':
      await removeSigningKey(trx, id, { removedAt: now, isRevoked: step.kind === 'revoke' })
  }
  return {
    change: { kind: step.kind, algorithm, id },
    entry: {
      action: ACTIONS[step.kind],
      target: { id, kind: 'signing_key', name: algorithm },
      changes: changesBetween({ status }, { status: NEXT_STATUS[step.kind] }) ?? null,
    },
  }
}

function show(key: SigningKeyRow, keys: readonly SigningKeyRow[], rotationDays: number): SigningKey {
  const { wrappedPrivateKey: _, ...shown } = key
  const due = dueAt(key, keys, rotationDays)
  return { ...shown, dueAt: due === undefined ? null : new Date(due) }
}
