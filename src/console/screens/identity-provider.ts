import { z } from 'zod'
import type { IdentityProviderRow } from '../../database/tables.ts'
import {
  deleteIdentityProvider,
  getIdentityProvider,
  openidRedirectUri,
  putIdentityProvider,
} from '../../directory/identity-providers.ts'
import { getLinkedCount } from '../../directory/organization-use.ts'
import { Refusal } from '../../errors.ts'
import {
  choice,
  type Draft,
  freshDraft,
  line,
  lines,
  readForm,
  refused,
  refusedDraft,
  uriLine,
  withFault,
} from '../forms.ts'
import { type Html, html } from '../html.ts'
import { apiDisclosure } from '../parts/api.ts'
import { copyable } from '../parts/copy.ts'
import { dangerPage } from '../parts/danger.ts'
import { facts } from '../parts/facts.ts'
import { actions, faultSummary, form, optionList, submit, textArea, textField } from '../parts/form.ts'
import { linkButton, pageHeader, section } from '../parts/page-header.ts'
import { count, time } from '../parts/time.ts'
import { may, type OrganizationVisit, type Page, type Reply } from '../visit.ts'

const PRINTABLE = /^[\x20-\x7e]*$/
const DOMAIN = /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}$/
const MAX_DOMAINS = 50
const ODD = 'This has characters that no provider gives out.'

const FIELDS = {
  issuer: uriLine({ required: 'Give the issuer of the provider.', example: 'https://login.acme.example' }),
  client_id: line({ max: 255, required: 'Give the client id.' }).pipe(z.string().regex(PRINTABLE, ODD)),
  client_kind: choice(['keep', 'secret', 'none'], 'Choose one.'),
  client_secret: line({ max: 1000 }).pipe(z.string().regex(PRINTABLE, ODD)),
  email_domains: lines({ max: 13_000, required: 'Give at least one domain.' })
    .transform((text) => text.split(/[\s,]+/).filter((domain) => domain !== ''))
    .pipe(
      z
        .array(z.string().max(253).regex(DOMAIN, 'Give domains such as acme.example, one on each line.'))
        .max(MAX_DOMAINS, `These are more than ${MAX_DOMAINS}.`),
    ),
}
const FAULTS = { '/issuer': 'issuer', '/client_id': 'client_id', '/client_secret': 'client_secret' }

/** The identity provider of the organization, if it has one. */
export async function findProvider({
  services,
  actor,
  organization,
}: OrganizationVisit): Promise<IdentityProviderRow | undefined> {
  try {
    return await getIdentityProvider(services, actor, organization.id)
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'identity_provider_missing') return undefined
    throw error
  }
}

/** By which provider administrators sign in, and the form that sets it. */
export async function showProvider(visit: OrganizationVisit): Promise<Reply> {
  return { page: await draw(visit, undefined) }
}

/** Sets the provider. Its client secret is taken in, and never shown. */
export async function saveProvider(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, path, form: given } = visit
  const read = readForm(given, FIELDS)
  if ('draft' in read) return refused(await draw(visit, read.draft), read.draft)
  const { values } = read
  const present = await findProvider(visit)
  const fault = faultOfSecret(values, present)
  if (fault !== undefined) {
    const draft = withFault(given, { field: 'client_secret', text: fault })
    return refused(await draw(visit, draft), draft)
  }
  const secrets = { keep: undefined, secret: values.client_secret, none: null }
  try {
    await putIdentityProvider(services, actor, organization.id, {
      issuer: values.issuer,
      clientId: values.client_id,
      clientSecret: secrets[values.client_kind],
      emailDomains: values.email_domains,
    })
  } catch (error) {
    const draft = refusedDraft(error, given, FAULTS)
    return refused(await draw(visit, draft), draft)
  }
  return { to: path, done: 'Single sign-on is set up. Test it before you rely on it.' }
}

/** Asks the provider what it says of itself. */
export async function testProvider(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, form: given, facts: request } = visit
  const provider = await getIdentityProvider(services, actor, organization.id)
  try {
    await services.throttle.countOpenid(request.ip ?? '')
    await services.openid.check(provider)
  } catch (error) {
    const draft = refusedDraft(error, given)
    const text = `${provider.issuer}/.well-known/openid-configuration does not say what an OpenID provider of that issuer says. The server’s log has the reason, under request ${request.requestId}.`
    const isUnavailable = draft.refusal?.reason === 'openid_unavailable'
    const shown = isUnavailable && draft.problem ? { ...draft, problem: { ...draft.problem, text } } : draft
    const { value, values } = freshDraft(valuesOf(provider))
    return refused(await draw(visit, { ...shown, value, values }), shown)
  }
  return {
    to: `${home}/settings/single-sign-on`,
    done: 'The provider answers as it should. Sign in by it once to see that it knows the client.',
  }
}

export async function askToRemoveProvider(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home, formToken } = visit
  const provider = await getIdentityProvider(services, actor, organization.id)
  const { linked, withoutPassword } = await getLinkedCount(services, actor, organization.id)
  const back = `${home}/settings/single-sign-on`
  return {
    page: {
      title: 'Remove single sign-on',
      content: dangerPage({
        title: 'Remove single sign-on?',
        consequences: [
          html`Nobody signs in by <code>${provider.issuer}</code> any more. Present sessions go on.`,
          linked === 0
            ? 'Nobody has signed in by it yet.'
            : `${count(linked, 'administrator')} ${linked === 1 ? 'has' : 'have'} signed in by it${withoutPassword === 0 ? `, and ${linked === 1 ? 'has' : 'all have'} a password besides.` : `; ${withoutPassword} of them ${withoutPassword === 1 ? 'has' : 'have'} no password here and cannot come in until invited anew.`}`,
          'Its client secret is deleted here. Set up again, everybody is linked anew at their next sign-in.',
        ],
        act: 'Remove single sign-on',
        action: `${back}/remove`,
        formToken,
        back: { label: 'Keep it', to: back },
      }),
    },
  }
}

export async function removeProvider(visit: OrganizationVisit): Promise<Reply> {
  const { services, actor, organization, home } = visit
  await deleteIdentityProvider(services, actor, organization.id)
  return { to: `${home}/settings`, done: 'Single sign-on is removed.' }
}

/** A secret is for the provider that gave it out. */
function faultOfSecret(
  { client_kind, client_secret, issuer }: { client_kind: string; client_secret: string; issuer: string },
  present: IdentityProviderRow | undefined,
): string | undefined {
  if (client_kind === 'secret' && client_secret === '') return 'Give the client secret.'
  if (client_kind !== 'secret' && client_secret !== '')
    return 'You typed a secret, but chose otherwise above.'
  const isKept = present?.wrappedClientSecret != null && present.issuer === issuer
  if (client_kind === 'keep' && !isKept)
    return 'Another issuer has another secret. Give it, or say that there is none.'
  return undefined
}

async function draw(visit: OrganizationVisit, draft: Draft | undefined): Promise<Page> {
  const { services, organization, home } = visit
  const provider = await findProvider(visit)
  const canManage = may(visit, 'organizations:manage')
  const path = `/organizations/${organization.id}/identity-provider`
  const redirectUri = openidRedirectUri(services.issuer, organization.id)
  return {
    title: 'Single sign-on',
    content: html`${pageHeader({
      title: 'Single sign-on',
      purpose:
        'Administrators sign in by your company’s OpenID provider, which looks after passwords and second factors. They must be invited here first: nobody is created by signing in.',
      above: { label: 'Settings', to: `${home}/settings` },
    })}
${draft && faultSummary(draft)}
${drawProvider(visit, provider, redirectUri)}
${canManage && drawForm(visit, provider, draft)}
${provider && canManage && drawEnd(home)}
${apiDisclosure(services.issuer, [
  { title: 'The identity provider', method: 'GET', path },
  ...(canManage
    ? [
        {
          title: 'Set it',
          method: 'PUT',
          path,
          body: {
            issuer: 'https://login.acme.example',
            client_id: 'countersign',
            client_secret: '…',
            email_domains: ['acme.example'],
          },
        },
        { title: 'Remove it', method: 'DELETE', path },
      ]
    : []),
])}`,
  }
}

function drawProvider(
  { organization, root, services, home, formToken, now }: OrganizationVisit,
  provider: IdentityProviderRow | undefined,
  redirectUri: string,
): Html {
  if (provider === undefined) {
    return facts([
      ['State', html`<span class="muted">not set up</span>`],
      ['Redirect URI', copyable(redirectUri, { label: 'the redirect URI' })],
    ])
  }
  const signIn = `${new URL(services.issuer).origin}${root}/sign-in/single-sign-on?${new URLSearchParams({ organization: organization.slug })}`
  return html`${facts([
    ['Issuer', html`<code>${provider.issuer}</code>`],
    ['Client id', html`<code>${provider.clientId}</code>`],
    [
      'Client secret',
      provider.wrappedClientSecret === null ? 'none, a public client' : 'stored, and never shown',
    ],
    ['Domains', provider.emailDomains.join(', ')],
    ['Redirect URI', copyable(redirectUri, { label: 'the redirect URI' })],
    ['Sign-in page', copyable(signIn, { label: 'the address of the sign-in page' })],
    ['Changed', time(provider.updatedAt, now)],
  ])}
<div class="button-row beside-table">${form({ action: `${home}/settings/single-sign-on/test`, formToken, isInline: true, content: submit('Test the provider', 'plain') })}</div>`
}

function valuesOf(provider: IdentityProviderRow | undefined): Record<string, string> {
  return {
    issuer: provider?.issuer ?? '',
    client_id: provider?.clientId ?? '',
    client_kind: provider === undefined ? 'secret' : provider.wrappedClientSecret === null ? 'none' : 'keep',
    email_domains: provider?.emailDomains.join('\n') ?? '',
  }
}

function drawForm(
  { home, formToken }: OrganizationVisit,
  provider: IdentityProviderRow | undefined,
  draft: Draft | undefined,
): Html {
  const shown = draft ?? freshDraft(valuesOf(provider))
  const hasSecret = provider?.wrappedClientSecret != null
  return section(
    provider === undefined ? 'Set it up' : 'Change it',
    form({
      action: `${home}/settings/single-sign-on`,
      formToken,
      content: html`${textField(shown, {
        name: 'issuer',
        label: 'Issuer',
        isMono: true,
        help: `An https address, such as https://login.acme.example.${provider === undefined ? '' : ' With another one, everybody is linked anew.'}`,
      })}
${textField(shown, { name: 'client_id', label: 'Client id', isMono: true, help: 'What the provider calls this server. Register the redirect URI above there.' })}
${optionList(shown, {
  name: 'client_kind',
  label: 'Client secret',
  kind: 'radio',
  options: [
    ...(hasSecret ? [{ value: 'keep', label: 'Keep the present one' }] : []),
    { value: 'secret', label: hasSecret ? 'A new one, below' : 'A secret, below' },
    { value: 'none', label: 'None', help: 'For a public client.' },
  ],
})}
${textField(shown, {
  name: 'client_secret',
  label: 'New client secret',
  type: 'password',
  autocomplete: 'off',
  isOptional: true,
  help: 'Stored encrypted, and never shown again. After a fault type it once more.',
})}
${textArea(shown, {
  name: 'email_domains',
  label: 'Email domains',
  rows: 3,
  isMono: true,
  help: 'For which addresses the provider may vouch, one domain on each line. Subdomains are other domains.',
})}
${actions(submit(provider === undefined ? 'Set up single sign-on' : 'Save changes'))}`,
    }),
    {
      purpose:
        'Whoever answers for the provider can sign in as any administrator. So you can set it only if you may do all that they may.',
    },
  )
}

function drawEnd(home: string): Html {
  return section(
    'Remove',
    html`<div class="button-row">${linkButton('Remove…', `${home}/settings/single-sign-on/remove`, 'danger')}</div>`,
  )
}
