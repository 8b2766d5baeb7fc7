import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { createPerson, launchChromium, type Person } from '../support/console.ts'
import { type ConsoleClient, createConsoleClient } from '../support/console-client.ts'
import { builtInRoleId, createOrganization, managementServerId } from '../support/management.ts'
import { must, startTestServer, type TestServer } from '../support/server.ts'
import {
  createAdministrator,
  createBrowser,
  enrol,
  signIn,
  type TestAdministrator,
} from '../support/sign-in.ts'

let server: TestServer
let browser: Browser
let organization: { id: string; slug: string }
let roleIds: Record<'owner' | 'viewer' | 'auditor', string>
let owner: TestAdministrator
let person: Person
let client: ConsoleClient
beforeAll(async () => {
  server = await startTestServer()
  browser = await launchChromium()
  organization = await createOrganization(server)
  roleIds = {
    owner: await builtInRoleId(server, 'owner'),
    viewer: await builtInRoleId(server, 'viewer'),
    auditor: await builtInRoleId(server, 'auditor'),
  }
  owner = await createAdministrator(server, organization.id, {
    name: 'Ada Lovelace',
    email: 'ada@acme.example',
    role_ids: [roleIds.owner],
    groups_administrator: 'manager',
  })
  person = await createPerson(browser, server)
  await person.signIn(owner)
  client = await createConsoleClient(server, owner)
})
afterAll(async () => {
  await browser?.close()
  await server?.close()
})

const people = () => `/organizations/${organization.slug}/administrators`
const read = (id: string) => must(server.api('GET', `/organizations/${organization.id}/administrators/${id}`))
const idInAddress = () => /acc_\w+/.exec(person.page.url())?.[0] as string
const create = (access: Record<string, unknown> = {}) => createAdministrator(server, organization.id, access)

/** The link that a page shows once. */
async function shownLink(who: Person): Promise<string> {
  await who.page.getByText('Show the link').click()
  return who.page.locator('#secret').innerText()
}

async function onceIn(path: string): Promise<string> {
  return /name="once" value="([^"]+)"/.exec((await client.get(path)).text)?.[1] ?? ''
}

test('from an invitation to somebody who signs in, to their end', async () => {
  await person.open(people())
  await person.press('Invite administrator')
  await person.look('invite-administrator')
  await person.press('Make the invitation')
  expect(await person.text()).toContain('Say who it is.')
  await person.fill({ Name: 'Grace Hopper', Address: 'grace' })
  await person.press('Make the invitation')
  expect(await person.text()).toContain('This is not an address')
  await person.fill({ Address: 'Grace@Acme.example' })
  await person.page.getByLabel('viewer').check()
  await person.press('Make the invitation')
  expect(await person.heading()).toBe('Hand over the link')
  expect(await person.page.locator('#secret').isVisible()).toBe(false)
  await person.look('invitation-link')
  const link = await shownLink(person)
  expect(link).toMatch(/\/console\/invitation#csi_[\w-]{43}$/)
  expect(person.page.url()).not.toContain('csi_')
  await person.page.getByLabel('I have handed it over').check()
  await person.press('Done')
  expect(await person.heading()).toBe('Grace Hopper')
  expect(await person.text()).toContain('invited')
  await person.look('administrator-invited')
  const id = idInAddress()

  const grace = await createPerson(browser, server)
  await grace.page.goto(link)
  await grace.page.waitForURL(/console\/invitation$/)
  await grace.fill({ Password: 'a long pass phrase of hers' })
  await grace.press('Set the password')
  expect(await grace.text()).toContain('Your password is set. Welcome.')

  await person.open(people())
  const row = person.page.locator('tbody tr', { hasText: 'Grace Hopper' })
  expect(await row.innerText()).toMatch(
    /grace@acme\.example[\s\S]*viewer[\s\S]*Password[\s\S]*off[\s\S]*active/,
  )
  await person.look('administrators')
  await person.press('Grace Hopper')
  await person.look('administrator')
  await person.press('Edit')
  await person.fill({ Name: 'Grace Brewster Hopper' })
  await person.press('Save changes')
  expect(await person.heading()).toBe('Grace Brewster Hopper')

  await person.press('Sessions')
  expect(await person.page.locator('tbody tr').count()).toBe(1)
  await person.look('administrator-sessions')
  await person.press('End')
  expect(await person.text()).toContain('is signed in nowhere')
  await grace.open('/security')
  expect(await grace.heading()).toBe('Sign in')

  await signIn(server, { email: 'grace@acme.example', password: 'a long pass phrase of hers' })
  await person.press('Overview')
  await person.press('Disable…')
  expect(await person.text()).toContain('1 session ends now.')
  expect(await person.page.evaluate('document.activeElement.textContent')).toBe('Keep them active')
  await person.look('disable-administrator')
  await person.press('Disable administrator')
  expect(await person.text()).toContain('is disabled and signed out.')
  expect(await person.text()).toContain('A new link can be made once they are enabled.')
  await person.press('Enable')
  expect(await person.text()).toContain('is active again.')
  await person.press('Remove…')
  expect(await person.text()).toContain('They lose 1 role.')
  await person.look('remove-administrator')
  await person.press('Remove administrator')
  expect(await person.text()).toContain('Grace Brewster Hopper is removed.')
  expect((await server.api('GET', `/organizations/${organization.id}/administrators/${id}`)).status).toBe(404)
})

test('access is given and taken: roles, groups, direct permissions, and why somebody may do what', async () => {
  const group = await must(
    server.api('POST', `/organizations/${organization.id}/groups`, { name: 'Northern branch' }),
  )
  await must(server.api('POST', `/organizations/${organization.id}/groups`, { name: 'Southern branch' }))
  const { id } = await create({ name: 'Mary Jackson' })
  await person.open(`${people()}/${id}/access`)
  expect(await person.text()).toContain('Nothing yet: no role and no permission.')
  await person.press('Change access')
  await person.page.getByLabel('auditor').check()
  await person.page.getByLabel('Northern branch').selectOption('manager')
  await person.page.getByText('Direct permissions').click()
  await person.page.getByLabel('groups:manage').check()
  await person.look('change-access')
  await person.press('Save access')
  expect(await person.text()).toContain('The access of Mary Jackson is saved.')
  expect(await read(id)).toMatchObject({
    role_ids: [roleIds.auditor],
    group_access: [{ group_id: group.id, access: 'manager' }],
    groups_administrator: null,
    permissions: [{ permission: 'groups:manage' }],
  })
  const reason = (permission: string) => person.page.locator('tbody tr', { hasText: permission }).innerText()
  expect(await reason('audit:read')).toContain('auditor')
  expect(await reason('groups:manage')).toContain('given directly')
  await person.look('administrator-access')

  await person.press('Change access')
  expect(await person.page.getByLabel('auditor').isChecked()).toBe(true)
  await person.page.getByLabel('auditor').uncheck()
  await person.page.getByLabel('Northern branch').selectOption('')
  await person.page.getByLabel('Groups administrator').selectOption('viewer')
  await person.page.getByLabel('groups:manage').uncheck()
  await person.press('Save access')
  expect(await read(id)).toMatchObject({
    role_ids: [],
    group_access: [],
    groups_administrator: 'viewer',
    permissions: [],
  })
})

test('a form that was open while somebody else changed the access undoes nothing', async () => {
  const { id, path } = await create({ role_ids: [roleIds.viewer] })
  const form = `${people()}/${id}/access/edit`
  const seen = /name="seen" value="([^"]+)"/.exec((await client.get(form)).text)?.[1] ?? ''
  await must(server.api('PATCH', path, { role_ids: [] }))
  const fields = { seen, role_ids: roleIds.viewer, groups_administrator: 'none' }
  const answer = await client.post(form, fields)
  expect(answer.status).toBe(409)
  expect(answer.text).toContain('This was changed meanwhile')
  expect((await read(id)).role_ids).toEqual([])
})

test('an owner of the platform is not its last one while another account may set everything right', async () => {
  const { organization: platform } = await must(server.api('GET', '/me'))
  const operator = await createAdministrator(server, platform.id, { role_ids: [roleIds.owner] })
  const theirs = await createConsoleClient(server, operator)
  const { slug } = await must(server.api('GET', `/organizations/${platform.id}`))
  const { text } = await theirs.get(`/organizations/${slug}/administrators/${operator.id}`)
  expect(text).not.toContain('last owner')
  expect(text).toContain('Remove…')
})

test('people, roles and groups lead to what the trail says of them, and the trail leads to them', async () => {
  const { id } = await create({ name: 'Traced' })
  const path = `/organizations/${organization.id}`
  const role = await must(server.api('POST', `${path}/roles`, { name: 'Traced role' }))
  const group = await must(server.api('POST', `${path}/groups`, { name: 'Traced group' }))
  const home = `/organizations/${organization.slug}`
  const reader = await createConsoleClient(server, await create({ role_ids: [roleIds.viewer] }))
  for (const [noun, target] of [
    ['administrators', id],
    ['roles', role.id],
    ['groups', group.id],
  ]) {
    const { text } = await client.get(`${home}/${noun}/${target}`)
    expect(text).toContain(`href="/console${home}/audit?target=${target}"`)
    const trail = await client.get(`${home}/audit?target=${target}`)
    expect(trail.text).toContain(`href="/console${home}/${noun}/${target}"`)
    // A viewer may not read the trail.
    expect((await reader.get(`${home}/${noun}/${target}`)).text).not.toContain('/audit?')
  }
})

describe('a sign-in is reset', () => {
  test('by a link that is shown once; password and sessions end, the second factor where that is asked for', async () => {
    const lost = await create({ name: 'Katherine Johnson', role_ids: [roleIds.viewer] })
    await enrol(server, await signIn(server, lost), lost.password)
    await person.open(`${people()}/${lost.id}`)
    await person.press('Reset sign-in…')
    const text = await person.text()
    expect(text).toContain('1 session ends now.')
    expect(text).toContain('Their password stops working now.')
    expect(text).toContain('Their second factor stays, unless you remove it below.')
    await person.look('reset-sign-in')
    await person.page.getByLabel('Remove the second factor').check()
    await person.press('Reset sign-in')
    const link = await shownLink(person)
    expect(await read(lost.id)).toMatchObject({ has_second_factor: false })
    await expect(signIn(server, lost)).rejects.toThrow()
    await person.page.getByLabel('I have handed it over').check()
    await person.press('Done')
    expect(await person.text()).toContain('must choose a password')

    const invitation = new URL(link).hash.slice(1)
    const password = 'another long pass phrase'
    await must(createBrowser(server).call('POST', '/invitation/accept', { invitation, password }))
    await signIn(server, { email: lost.email, password })
  })

  test('without JavaScript, too, and leaving takes a tick', async () => {
    const lost = await create({ name: 'Annie Easley' })
    const quiet = await createPerson(browser, server, { hasJavaScript: false })
    await quiet.signIn(owner)
    await quiet.open(`${people()}/${lost.id}/reset`)
    await quiet.press('Reset sign-in')
    expect(await shownLink(quiet)).toContain('#csi_')
    await quiet.page.getByRole('button', { name: 'Done' }).click()
    expect(await quiet.heading()).toBe('Hand over the link')
    await quiet.page.getByLabel('I have handed it over').check()
    await quiet.press('Done')
    expect(await quiet.heading()).toBe('Annie Easley')
  })

  test('not for who is disabled, which the page says before', async () => {
    const { id, path } = await create({ name: 'Locked out' })
    await must(server.api('PATCH', path, { status: 'disabled' }))
    const answer = await client.get(`${people()}/${id}/reset`)
    expect(answer.text).toContain('Locked out is disabled')
    const once = await onceIn(`${people()}/${owner.id}/reset`)
    expect((await client.post(`${people()}/${id}/reset`, { once })).status).toBe(409)
  })
})

describe('a link is in one answer: sent again, the form shows none and makes nothing', () => {
  test('an invitation', async () => {
    const path = `${people()}/new`
    const fields = { once: await onceIn(path), name: 'Once', email: 'once@acme.example' }
    const first = await client.post(path, fields)
    expect(first.status).toBe(200)
    expect(first.headers.get('cache-control')).toBe('no-store')
    const [secret] = /csi_[\w-]{43}/.exec(first.text) ?? []
    expect(secret).toBeDefined()
    expect(first.headers.getSetCookie().join()).not.toContain(secret)
    const again = await client.post(path, { ...fields, email: 'twice@acme.example' })
    expect(again.status).toBe(409)
    expect(again.text).toContain('This form was sent before')
    expect(again.text).not.toContain('csi_')
    const { items } = await must(
      server.api('GET', `/organizations/${organization.id}/administrators?limit=200`),
    )
    const addresses = items.map(({ email }: { email: string }) => email)
    expect(addresses).toContain('once@acme.example')
    expect(addresses).not.toContain('twice@acme.example')
  })

  test('a reset', async () => {
    const { id, path } = await create()
    const once = await onceIn(`${people()}/${id}/reset`)
    expect((await client.post(`${people()}/${id}/reset`, { once })).text).toContain('csi_')
    const before = await must(server.api('GET', path))
    const again = await client.post(`${people()}/${id}/reset`, { once })
    expect(again.status).toBe(409)
    expect(again.text).not.toContain('csi_')
    expect(await must(server.api('GET', path))).toEqual(before)
  })
})

describe('the last owner', () => {
  test('is said to be one, and offers no end', async () => {
    await person.open(`${people()}/${owner.id}`)
    expect(await person.text()).toContain('last owner')
    expect(await person.text()).toContain('Make another account an owner first.')
    expect(await person.page.getByRole('link', { name: 'Remove…' }).count()).toBe(0)
    await person.look('administrator-last-owner')
    await person.open(`${people()}/${owner.id}/delete`)
    expect(await person.heading()).toBe('Ada Lovelace stays')
    await person.look('last-owner-stays')
    await person.open(`${people()}/${owner.id}/access/edit`)
    expect(await person.text()).toContain('This is the organization’s last owner')
    await person.page.getByLabel('owner', { exact: false }).first().waitFor()
    await person.page.locator(`input[value="${roleIds.owner}"]`).uncheck()
    await person.press('Save access')
    expect(await person.text()).toContain('The organization would have no owner')
    expect(await person.text()).toContain('last active account with the role owner')
    await person.look('change-access-last-owner')
    expect((await read(owner.id)).role_ids).toEqual([roleIds.owner])
  })

  test.each(['disable', 'delete'])('is kept when %s is sent all the same', async (act) => {
    const answer = await client.post(`${people()}/${owner.id}/${act}`)
    expect(answer.status).toBe(409)
    expect(answer.text).toContain('Ada Lovelace stays')
    expect((await read(owner.id)).status).toBe('active')
  })
})

describe('what somebody does to themself', () => {
  let second: TestAdministrator
  let own: ConsoleClient
  beforeAll(async () => {
    second = await create({ name: 'Second owner', role_ids: [roleIds.owner] })
    own = await createConsoleClient(server, second)
  })

  test('their own page leads to their own security instead of a reset', async () => {
    const { text } = await own.get(`${people()}/${second.id}`)
    expect(text).toContain('This is you: you change your password and second factor yourself.')
    expect(text).not.toContain('Reset sign-in…')
    expect((await own.get(`${people()}/${second.id}/delete`)).text).toContain('you cannot undo it yourself')
  })

  test('who takes their own authority is led to what they still may see', async () => {
    const fields = { role_ids: roleIds.viewer, groups_administrator: 'none' }
    const answer = await own.post(`${people()}/${second.id}/access/edit`, fields)
    expect(answer.headers.get('location')).toBe('/console/')
    expect((await read(second.id)).role_ids).toEqual([roleIds.viewer])
    expect((await own.get(`${people()}/${second.id}/access/edit`)).status).toBe(403)
  })

  test.each([
    ['disable', 'disabled'],
    ['delete', undefined],
    ['sessions/end', 'active'],
  ])('%s signs them out', async (act, status) => {
    const leaving = await create({ role_ids: [roleIds.owner] })
    const theirs = await createConsoleClient(server, leaving)
    const answer = await theirs.post(`${people()}/${leaving.id}/${act}`)
    expect(answer.headers.get('location')).toBe('/console/sign-in')
    expect((await theirs.get('/security')).status).toBe(303)
    const found = await server.api('GET', leaving.path)
    expect(found.body.status).toBe(status ?? 404)
    if (status === 'active') await must(server.api('DELETE', leaving.path))
  })
})

describe('nobody gives what they do not have', () => {
  let manager: TestAdministrator
  let theirs: ConsoleClient
  beforeAll(async () => {
    const management = await managementServerId(server)
    const permissions = ['administrators:read', 'administrators:manage', 'groups:read'].map((permission) => ({
      resource_server_id: management,
      permission,
    }))
    manager = await create({ name: 'Manager of people', permissions })
    theirs = await createConsoleClient(server, manager)
  })

  test('a role that allows more is closed, and refused when it is sent all the same', async () => {
    const path = `${people()}/new`
    const { text } = await theirs.get(path)
    expect(text).toMatch(new RegExp(`value="${roleIds.owner}" disabled`))
    const once = /name="once" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const fields = { once, name: 'Climber', email: 'climber@acme.example', role_ids: roleIds.owner }
    const answer = await theirs.post(path, fields)
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('You can give only what you have')
    expect(answer.text).toContain('value="climber@acme.example"')
    expect(answer.text).not.toContain('csi_')
  })

  test('nobody becomes who has more than they: no reset, no enabling', async () => {
    const once = /name="once" value="([^"]+)"/.exec(
      (await theirs.get(`${people()}/${owner.id}/reset`)).text,
    )?.[1]
    const answer = await theirs.post(`${people()}/${owner.id}/reset`, { once: once ?? '' })
    expect(answer.status).toBe(422)
    expect(answer.text).not.toContain('csi_')
    const mighty = await create({ role_ids: [roleIds.auditor] })
    await must(server.api('PATCH', mighty.path, { status: 'disabled' }))
    const refused = await theirs.post(`${people()}/${mighty.id}/enable`)
    expect(refused.status).toBe(403)
    expect(refused.text).toContain('You lack:')
    expect((await read(mighty.id)).status).toBe('disabled')
  })

  test('a group that they do not reach is not theirs to give, nor are all of them', async () => {
    const group = await must(
      server.api('POST', `/organizations/${organization.id}/groups`, { name: 'Closed' }),
    )
    const { id } = await create()
    const path = `${people()}/${id}/access/edit`
    const { text } = await theirs.get(path)
    expect(text).toContain('not yours to give')
    expect(text).not.toContain('value="manager"')
    for (const fields of [
      { groups_administrator: 'none', group_access: `${group.id} viewer` },
      { groups_administrator: 'viewer' },
    ]) {
      const answer = await theirs.post(path, fields)
      expect(answer.status).toBe(422)
      expect(answer.text).toContain('You can give only what you have')
    }
    expect(await read(id)).toMatchObject({ group_access: [], groups_administrator: null })
  })

  test('who may not read groups and roles sees none of them, and leaves access to groups as it is', async () => {
    const management = await managementServerId(server)
    const blind = await create({
      permissions: ['administrators:read', 'administrators:manage'].map((permission) => ({
        resource_server_id: management,
        permission,
      })),
    })
    const group = await must(
      server.api('POST', `/organizations/${organization.id}/groups`, { name: 'Unseen' }),
    )
    await must(server.api('POST', `/organizations/${organization.id}/roles`, { name: 'Unheard of' }))
    const group_access = [{ group_id: group.id, access: 'viewer' }]
    const { id } = await create({ group_access })
    const client = await createConsoleClient(server, blind)
    for (const page of ['access', 'access/edit']) {
      const { text } = await client.get(`${people()}/${id}/${page}`)
      expect(text).not.toContain('Unseen')
      expect(text).not.toContain('Unheard of')
    }
    const sent = { groups_administrator: 'none', group_access: '' }
    expect((await client.post(`${people()}/${id}/access/edit`, sent)).status).toBe(303)
    expect((await read(id)).group_access).toEqual(group_access)
  })

  test.each([
    ['what is no level', { groups_administrator: 'god' }, 'Choose one.'],
    ['what is no group', { groups_administrator: 'none', group_access: 'nonsense' }, 'was not offered'],
    [
      'a group that is not there',
      { groups_administrator: 'none', group_access: `grp_${'0'.repeat(36)} viewer` },
      'there is no group with that id',
    ],
    [
      'a role that is not there',
      { groups_administrator: 'none', role_ids: `role_${'0'.repeat(36)}` },
      'there is no role with that id',
    ],
  ])('%s is refused', async (_what, fields, text) => {
    const { id } = await create()
    const answer = await client.post(`${people()}/${id}/access/edit`, fields)
    expect(answer.status).toBe(422)
    expect(answer.text).toContain(text)
  })
})

test('an address that is taken, and one of a service account, are refused beside the field', async () => {
  const path = `${people()}/new`
  const invite = async (email: string) =>
    client.post(path, { once: await onceIn(path), name: 'Somebody', email })
  const taken = await invite('ADA@acme.example')
  expect(taken.status).toBe(409)
  expect(taken.text).toContain('Your organization has an account of it already.')
  const host = new URL(server.issuer).hostname
  const odd = await invite(`robot@${organization.slug}.${host}`)
  expect(odd.status).toBe(422)
  expect(odd.text).toContain('This is of a service account: it never receives mail.')
})
