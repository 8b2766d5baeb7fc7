import type { Assets } from './assets.ts'
import { type Html, html } from './html.ts'
import { NAVIGATION, type NavigationItem, PLATFORM_NAVIGATION } from './navigation.ts'
import { form, submit } from './parts/form.ts'
import { CHECK_ICON, MARK, SWITCH_ICON } from './parts/icons.ts'
import { badge } from './parts/state.ts'
import { may, type OrganizationVisit, type Page, type SessionVisit } from './visit.ts'

/** What a page stands in: whose it is, as far as that is known. */
type Frame = {
  root: string
  assets: Pick<Assets, 'pathOf'>
  /** undefined before somebody has signed in. */
  visit: SessionVisit | OrganizationVisit | undefined
  /** What the form before this page has done. */
  notice: string | undefined
}

/** A whole document. */
export function drawPage(frame: Frame, page: Page): string {
  const { root, assets, visit } = frame
  const link = (name: string) => `${root}${assets.pathOf(name)}`
  const document = html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  ${page.onward !== undefined && html`<meta http-equiv="refresh" content="0; url=${page.onward}">`}
  <title>${page.title} · Countersign</title>
  <link rel="icon" href="${link('mark.svg')}" type="image/svg+xml">
  <link rel="preload" href="${link('inter-latin.woff2')}" as="font" type="font/woff2" crossorigin>
  <link rel="stylesheet" href="${link('normalize.css')}">
  <link rel="stylesheet" href="${link('console.css')}">
  ${['console.js', ...(page.scripts ?? [])].map((name) => html`<script type="module" src="${link(name)}"></script>`)}
</head>
${visit === undefined ? drawEntrance(page, frame) : drawShell(visit, page, frame)}
</html>
`
  return document.toString()
}

/** For who is not signed in: one card. */
function drawEntrance({ content }: Page, { notice }: Frame): Html {
  return html`<body class="entrance">
  <main id="content">
    <p class="brand">${MARK}<span>Countersign</span></p>
    ${drawNotice(notice)}
    <div class="card">${content}</div>
  </main>
</body>`
}

/** For who is signed in: the sidebar, and the page beside it. */
function drawShell(
  visit: SessionVisit | OrganizationVisit,
  { content }: Page,
  { root, notice }: Frame,
): Html {
  return html`<body class="shell">
  <a class="skip" href="#content">Skip to the content</a>
  <div class="sidebar">
    <a class="brand" href="${root}/" aria-label="Countersign">${MARK}<span>Countersign</span></a>
    ${drawOrganization(visit)}
    ${drawNavigation(visit)}
    ${drawPerson(visit)}
  </div>
  <main id="content" tabindex="-1">
    ${drawNotice(notice)}
    ${content}
  </main>
</body>`
}

/** Operators see in whose organization they are, and go on to another one from here; others have one. */
function drawOrganization(visit: SessionVisit | OrganizationVisit): Html {
  const { tenants, session } = visit
  const own = {
    name: session.record.organizationName,
    slug: session.record.organizationSlug,
    status: 'active',
  }
  const present = 'organization' in visit ? visit.organization : own
  const words = html`<span class="organization-name" title="${present.name}">${present.name}</span>${present.status !== 'active' && html` ${badge('off', present.status)}`}`
  if (tenants === undefined) return html`<div class="organization">${words}</div>`
  const listed = [present, own, ...tenants].filter(
    ({ slug }, index, all) => all.findIndex((each) => each.slug === slug) === index,
  )
  return html`<details class="organization switcher">
    <summary>${words}<span class="hidden">, switch organization</span>${SWITCH_ICON}</summary>
    <nav aria-label="Organizations"><ul>
      ${listed.map(({ name, slug }) => drawTenant(visit, name, slug, slug === present.slug))}
      <li class="all"><a href="${visit.root}/organizations">All organizations</a></li>
    </ul></nav>
  </details>`
}

/** To the same place in the other organization, as far as there is one. */
function drawTenant(visit: SessionVisit, name: string, slug: string, isPresent: boolean): Html {
  const { root, path } = visit
  const place = `/${path.slice(`${root}/organizations/`.length).split('/')[1] ?? ''}`
  const isSeen = ({ permission }: NavigationItem) => may(visit, permission)
  const { path: section = '/service-accounts' } =
    NAVIGATION.find((item) => item.path === place && isSeen(item)) ?? NAVIGATION.find(isSeen) ?? {}
  return html`<li><a href="${root}/organizations/${slug}${section}" title="${name}"${isPresent && html` aria-current="true"`}>${name}</a></li>`
}

function drawNavigation(visit: SessionVisit | OrganizationVisit): Html {
  const { root, session, actor } = visit
  const home = 'home' in visit ? visit.home : `${root}/organizations/${session.record.organizationSlug}`
  const own = NAVIGATION.filter(({ permission }) => may(visit, permission))
  const platform = PLATFORM_NAVIGATION.filter(({ permission }) => actor.isOperator && may(visit, permission))
  return html`<nav class="navigation" aria-label="Main">
    <ul>${own.map(({ label, path }) => drawItem(visit, label, home + path))}</ul>
    ${platform.length > 0 && html`<p class="navigation-title">Platform</p><ul>${platform.map(({ label, path }) => drawItem(visit, label, root + path))}</ul>`}
  </nav>`
}

/**
 * The current place is the page itself, or one below it; pages of an organization are not below the list of them, but
 * the form of a new one is.
 */
function drawItem(visit: SessionVisit | OrganizationVisit, label: string, to: string): Html {
  const { path, root } = visit
  const isBelow = to === `${root}/organizations` ? path === `${to}/new` : path.startsWith(`${to}/`)
  return html`<li><a href="${to}"${(path === to || isBelow) && html` aria-current="page"`}>${label}</a></li>`
}

function drawPerson({ root, path, session, formToken }: SessionVisit): Html {
  const to = `${root}/security`
  return html`<div class="person">
    <span class="person-name" title="${session.record.accountEmail}">${session.record.accountName}</span>
    <a href="${to}"${path.startsWith(to) && html` aria-current="page"`}>Your security</a>
    ${form({ action: `${root}/sign-out`, formToken, isInline: true, content: submit('Sign out', 'plain') })}
  </div>`
}

function drawNotice(notice: string | undefined): Html | undefined {
  if (notice === undefined) return undefined
  return html`<p class="notice" role="status">${CHECK_ICON}<span>${notice}</span></p>`
}
