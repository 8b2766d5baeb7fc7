import { getResourceServerUse } from '../../directory/resource-server-use.ts'
import { deleteResourceServer as end } from '../../directory/resource-servers.ts'
import { type Draft, freshDraft, refused, refusedDraft } from '../forms.ts'
import { html } from '../html.ts'
import { dangerPage } from '../parts/danger.ts'
import { stopsNow } from '../parts/live-tokens.ts'
import { count } from '../parts/time.ts'
import type { Page, Reply, SessionVisit } from '../visit.ts'
import { homeOfServer, readServer } from './resource-server.ts'

export async function askToDeleteServer(visit: SessionVisit): Promise<Reply> {
  return { page: await draw(visit, freshDraft()) }
}

/** Takes its permissions from every account and ends its tokens. */
export async function deleteResourceServer(visit: SessionVisit): Promise<Reply> {
  const { services, actor, root } = visit
  try {
    const server = await readServer(visit)
    await end(services, actor, server.id)
    return { to: `${root}/resource-servers`, done: `${server.name} is deleted.` }
  } catch (error) {
    const draft = refusedDraft(error, visit.form)
    return refused(await draw(visit, draft), draft)
  }
}

async function draw(visit: SessionVisit, draft: Draft): Promise<Page> {
  const { services, actor, formToken } = visit
  const server = await readServer(visit)
  const { holders, live, credentials } = await getResourceServerUse(services, actor, server.id)
  const here = homeOfServer(visit, server)
  const own = server.permissions.length
  return {
    title: 'Delete resource server',
    content: dangerPage({
      title: html`Delete ${server.name}?`,
      consequences: [
        stopsNow(live, 'No token for it is live now.'),
        holders.accounts === 0
          ? `No account has any of its ${count(own, 'permission')}${holders.roles === 0 ? '.' : `, but ${count(holders.roles, 'role')} ${holders.roles === 1 ? 'loses' : 'lose'} them.`}`
          : `${count(holders.accounts, 'account')} of ${count(holders.organizations, 'organization')} ${holders.accounts === 1 ? 'loses' : 'lose'} its permissions${holders.roles === 0 ? '' : `, and so ${holders.roles === 1 ? 'does' : 'do'} ${count(holders.roles, 'role')}`}.`,
        `Its ${count(credentials.secrets, 'secret')} and ${count(credentials.keys, 'key')} work no more: the API cannot ask about tokens.`,
        'It cannot be brought back. Registered again, it has another id, and nobody has its permissions.',
      ],
      act: 'Delete resource server',
      action: `${here}/delete`,
      formToken,
      back: { label: 'Keep it', to: here },
      draft,
    }),
  }
}
