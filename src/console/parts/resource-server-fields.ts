import { z } from 'zod'
import type { ResourceServer } from '../../database/queries/resource-servers.ts'
import type { Definition } from '../../directory/definitions.ts'
import { choice, type Draft, line, ticked, wholeNumber } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { optionList, selectField, textField } from './form.ts'

const ALGORITHMS = ['ES256', 'RS256', 'EdDSA'] as const
const CONSTRAINTS = ['dpop', 'mtls'] as const

/** What a person says of a resource server, when it is registered and later. */
export const RESOURCE_SERVER_FIELDS = {
  name: line({ max: 200, required: 'Give the resource server a name.' }),
  token_format: choice(['jwt', 'opaque'], 'Choose a form of tokens.'),
  token_lifetime_seconds: wholeNumber({
    min: 60,
    max: 86_400,
    text: 'Give a number of seconds from 60 to 86400.',
  }),
  signing_algorithm: choice(ALGORITHMS, 'Choose an algorithm.'),
  introspection_signing_algorithm: choice(ALGORITHMS, 'Choose an algorithm.'),
  sender_constraints: ticked().pipe(z.array(z.enum(CONSTRAINTS, 'Choose among these.'))),
}

/** Where the rules find a fault, and the field that it stands in. */
export const RESOURCE_SERVER_FAULTS = {
  '/name': 'name',
  '/identifier': 'identifier',
  '/token_lifetime_seconds': 'token_lifetime_seconds',
}

/** The fields as they stand now. */
export function resourceServerValues(
  server: Pick<
    ResourceServer,
    | 'name'
    | 'tokenFormat'
    | 'tokenLifetimeSeconds'
    | 'signingAlgorithm'
    | 'introspectionSigningAlgorithm'
    | 'senderConstraints'
  >,
): Record<string, string | readonly string[]> {
  return {
    name: server.name,
    token_format: server.tokenFormat,
    token_lifetime_seconds: String(server.tokenLifetimeSeconds),
    signing_algorithm: server.signingAlgorithm,
    introspection_signing_algorithm: server.introspectionSigningAlgorithm,
    sender_constraints: server.senderConstraints,
  }
}

export function nameField(draft: Draft): Html {
  return textField(draft, {
    name: 'name',
    label: 'Name',
    help: 'What people call the API, such as «Invoices».',
    hasFocus: true,
  })
}

/** How the tokens of a resource server are. `isNew`: nobody has one yet. */
export function tokenFields(draft: Draft, { isNew }: { isNew: boolean }): Html {
  return html`${optionList(draft, {
    name: 'token_format',
    label: 'Access tokens',
    ...(!isNew && { help: 'A change is for new tokens; live ones stay as they are.' }),
    kind: 'radio',
    options: [
      {
        value: 'jwt',
        label: 'JWT',
        help: 'Signed. The API can verify it by itself, and can ask by introspection whether it still holds.',
      },
      {
        value: 'opaque',
        label: 'Opaque',
        help: 'A random text that says nothing. The API asks by introspection what it is worth.',
      },
    ],
  })}
${textField(draft, {
  name: 'token_lifetime_seconds',
  label: 'Life time in seconds',
  type: 'number',
  inputmode: 'numeric',
  help: 'From 60 to 86400. 900 is a quarter of an hour, which suits most: programs get a new token whenever they need one.',
})}
${isNew ? html`<details class="more"${isFaulty(draft) && html` open`}><summary>Signatures and bound tokens</summary>${rareFields(draft, isNew)}</details>` : rareFields(draft, isNew)}`
}

/** What seldom differs from what is usual. */
function rareFields(draft: Draft, isNew: boolean): Html {
  return html`${selectField(draft, {
    name: 'signing_algorithm',
    label: 'JWTs are signed with',
    help: 'Choose RS256 where the API knows nothing newer.',
    options: ALGORITHMS.map((value) => ({ value, label: value })),
  })}
${selectField(draft, {
  name: 'introspection_signing_algorithm',
  label: 'Introspection answers are signed with',
  help: 'Where the API asks for signed answers (RFC 9701).',
  options: ALGORITHMS.map((value) => ({ value, label: value })),
})}
${optionList(draft, {
  name: 'sender_constraints',
  label: 'Bound tokens that the API checks',
  help: isNew
    ? 'Tick what the API looks at. Untick both for an API that does not look at «cnf»: it would take a bound token from anybody.'
    : 'Live tokens that are bound by what you untick are inactive from then on.',
  kind: 'checkbox',
  options: [
    { value: 'dpop', label: 'DPoP', help: 'Proofs that the client signs for each request (RFC 9449).' },
    { value: 'mtls', label: 'Client certificates', help: 'The certificate of the connection (RFC 8705).' },
  ],
})}`
}

function isFaulty({ faults }: Draft): boolean {
  return faults.some(({ field }) => /^(signing|introspection_signing|sender)_/.test(field))
}

/** A name of a permission: a scope token (RFC 6749 §3.3). */
const PERMISSION = /^[!#-[\]-~]{1,100}$/
const MAX_DESCRIPTION = 500
const MAX_PERMISSIONS = 500

/** What is wrong with a permission's name; undefined when nothing is. Pure. */
export function faultOfPermission(name: string): string | undefined {
  if (PERMISSION.test(name)) return undefined
  return 'A permission is written without spaces and quotes, in at most 100 characters, such as invoices:read.'
}

/** Permissions, one on a line: its name, then what it allows. Answers them, or what is wrong. Pure. */
export function readPermissions(text: string): { permissions: Definition[] } | { fault: string } {
  const permissions = text
    .split('\n')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map((each) => {
      const [, name = '', description = ''] = /^(\S+)\s*(.*)$/u.exec(each) ?? []
      return { name, description }
    })
  const wrong = permissions.find(({ name }) => faultOfPermission(name) !== undefined)
  if (wrong !== undefined) return { fault: `«${wrong.name}»: ${faultOfPermission(wrong.name)}` }
  const twice = permissions.find(
    ({ name }, index) => permissions.findIndex((one) => one.name === name) < index,
  )
  if (twice !== undefined) return { fault: `«${twice.name}» stands there twice.` }
  const long = permissions.find(({ description }) => description.length > MAX_DESCRIPTION)
  if (long !== undefined)
    return { fault: `The text of «${long.name}» is longer than ${MAX_DESCRIPTION} characters.` }
  if (permissions.length > MAX_PERMISSIONS) return { fault: `These are more than ${MAX_PERMISSIONS}.` }
  return { permissions }
}
