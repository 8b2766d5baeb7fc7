import {
  countTokensOfSigningKey,
  getSigningKey,
  listSigningKeys,
  revokeSigningKey as revoke,
  rotateSigningKeys as rotate,
  type SigningKey,
} from '../../directory/signing-keys.ts'
import { JWKS_CACHE_SECONDS, readyAt } from '../../signing/lifecycle.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { shorten } from '../parts/copy.ts'
import { dangerPage } from '../parts/danger.ts'
import { stopsNow } from '../parts/live-tokens.ts'
import { linkButton, pageHeader } from '../parts/page-header.ts'
import { duration, relativeTime } from '../parts/time.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { publishedFor } from './signing-keys.ts'

/** Published keys are the newest ones, and never this many. */
const NEWEST = { limit: 50, cursor: undefined }

export async function askToRotate(visit: SessionVisit): Promise<Reply> {
  return { page: await drawRotate(visit, freshDraft()) }
}

/** Lets the keys that stand ready sign from now on. */
export async function rotateSigningKeys(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root } = visit
  try {
    await rotate(services, actor)
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await drawRotate(visit, draft), draft)
  }
  return {
    to: `${root}/signing-keys`,
    done: 'The keys have changed. Those that signed until now verify their tokens until the last has expired.',
  }
}

export async function askToRevoke(visit: SessionVisit): Promise<Reply> {
  return { page: await drawRevoke(visit) }
}

/** Ends a key that others may have, with all that it has signed. */
export async function revokeSigningKey(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root, params } = visit
  const key = await revoke(services, actor, params.sig as string)
  return {
    to: `${root}/signing-keys/${key.id}`,
    done: 'The key is revoked. What it has signed counts for nothing.',
  }
}

async function drawRotate(visit: SessionVisit, draft: Draft): Promise<Page> {
  const { services, actor, root, formToken, now } = visit
  const { items } = await listSigningKeys(services, actor, NEWEST)
  const next = items.filter(({ status }) => status === 'next')
  const readyAtLast = Math.max(...next.map(readyAt))
  const back = `${root}/signing-keys`
  if (readyAtLast > now) return drawUnready(back, readyAtLast, now)
  return {
    title: 'Rotate signing keys',
    content: dangerPage({
      title: 'Rotate the signing keys now?',
      consequences: [
        `New tokens are signed by the keys that stand ready: ${next.map(({ id, algorithm, createdAt }) => `${algorithm} ${shorten(id)}, ${publishedFor({ createdAt }, now)}`).join('; ')}.`,
        'No live token stops working: the present keys stay published until the last of theirs has expired, a day from now.',
        'An API that keeps public keys for longer than it should refuses new tokens until it reads them anew.',
        'New keys are made to stand ready. There is no other rotation by hand within the hour.',
      ],
      act: 'Rotate keys',
      action: `${back}/rotate`,
      formToken,
      back: { label: 'Leave them', to: back },
      draft,
    }),
  }
}

/** A key must be in every copy before it signs. */
function drawUnready(back: string, readyAtLast: number, now: number): Page {
  return {
    title: 'Rotate signing keys',
    content: html`${pageHeader({
      title: 'The next signing keys are too new',
      purpose: `Whoever verifies tokens has not had time to read them. They can sign ${relativeTime(readyAtLast, now)}. If a key may be in other hands, do not wait: open it and revoke it.`,
      above: { label: 'Signing keys', to: back },
    })}
<p>${linkButton('Go to the signing keys', back, 'plain')}</p>`,
  }
}

async function drawRevoke(visit: SessionVisit): Promise<Page> {
  const { services, actor, root, formToken, params, now } = visit
  const key = await getSigningKey(services, actor, params.sig as string)
  const [live, { items }] = await Promise.all([
    countTokensOfSigningKey(services, actor, key),
    listSigningKeys(services, actor, NEWEST),
  ])
  const next = items.find(({ algorithm, status }) => algorithm === key.algorithm && status === 'next')
  const here = `${root}/signing-keys/${key.id}`
  return {
    title: 'Revoke signing key',
    content: dangerPage({
      title: html`Revoke signing key ${key.algorithm} <code class="title-code">${shorten(key.id)}</code>?`,
      consequences: [
        stopsNow(live, 'No live token was signed with it.'),
        `On this server that holds at once, on every node. An API that verifies JWTs by itself takes them until it reads the public keys anew: after ${duration(JWKS_CACHE_SECONDS)}, if it heeds how long they may be kept.`,
        describeSuccession(key, next, now),
        'Programs get new tokens with their next request. The key cannot be brought back.',
      ],
      act: 'Revoke key',
      action: `${here}/revoke`,
      formToken,
      back: { label: 'Keep it', to: here },
    }),
  }
}

/** What takes its place. Pure. */
function describeSuccession(key: SigningKey, next: SigningKey | undefined, now: number): string {
  if (key.status === 'next') return 'Another key is made to stand ready in its place.'
  if (key.status === 'gone') return 'It counts for nothing already.'
  if (key.status === 'retiring') return 'It signs no more, so nothing takes its place.'
  if (next === undefined) return 'A new key signs in its place, which nobody has read yet.'
  const sentence = `The key that stands ready signs in its place: ${shorten(next.id)}, ${publishedFor(next, now)}`
  return readyAt(next) > now
    ? `${sentence}. That is so short a time that some APIs refuse its tokens until they read the public keys anew.`
    : `${sentence}, so whoever verifies tokens knows it.`
}
