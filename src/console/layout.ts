import type { Assets } from './assets.ts'
import { type Html, html } from './html.ts'
import { NAVIGATION, PLATFORM_NAVIGATION } from './navigation.ts'
import { form, submit } from './parts/form.ts'
import { CHECK_ICON, MARK } from './parts/icons.ts'
import { may, type OrganizationVisit, type Page, type SessionVisit } from './visit.ts'

/** What a page stands in: whose it is, as far as that is known. */
export type Frame = {
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

/** Operators see in whose organization they are, and change it here; others have one. */
function drawOrganization(visit: SessionVisit | OrganizationVisit): Html {
  const { root, session, actor } = visit
  const name = 'organization' in visit ? visit.organization.name : session.record.organizationName
  const canSwitch = actor.isOperator && may(visit, 'organizations:read')
  return html`<div class="organization">
    <span class="organization-name" title="${name}">${name}</span>
    ${canSwitch && html`<a class="switch" href="${root}/organizations">Switch<span class="hidden"> organization</span></a>`}
  </div>`
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

/** The current place is the page itself, or one below it; pages of an organization are not below the list of them. */
function drawItem(visit: SessionVisit | OrganizationVisit, label: string, to: string): Html {
  const { path, root } = visit
  const isBelow = path.startsWith(`${to}/`) && to !== `${root}/organizations`
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
