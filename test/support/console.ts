import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import chromium from '@sparticuz/chromium'
import { type Browser, type BrowserContext, type Page, chromium as playwright } from 'playwright-core'
import type { TestServer } from './server.ts'

/** Where the looks of every page are written; git does not keep them. */
const SCREENSHOTS = join(import.meta.dirname, '../console/screenshots')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const WIDE = { width: 1280, height: 800 }
const NARROW = { width: 360, height: 740 }

/** One person at one browser. */
export type Person = {
  page: Page
  context: BrowserContext
  /** Opens a page of the console; the path begins with a slash. Answers the status. */
  open(path: string): Promise<number>
  fill(fields: Record<string, string>): Promise<void>
  /** Presses a button or follows a link by its name, and waits for the page that it leads to. */
  press(name: string): Promise<void>
  heading(): Promise<string>
  /** The text of the page beside the sidebar. */
  text(): Promise<string>
  signIn(who: { email: string; password: string }): Promise<void>
  /**
   * Looks at the present page: no violation of the policy, no error of console or page, no request that failed
   * since the last look, nothing serious for axe in either theme or where it is narrow. Keeps its looks under the name.
   */
  look(name: string): Promise<void>
}

/** A real Chromium. Close it when the last test of the file is done. */
export async function launchChromium(): Promise<Browser> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    headless: true,
  })
}

/** A browser profile of its own. Without JavaScript where `hasJavaScript` is false. */
export async function createPerson(
  browser: Browser,
  server: Pick<TestServer, 'issuer'>,
  options: { hasJavaScript?: boolean } = {},
): Promise<Person> {
  const context = await browser.newContext({
    viewport: WIDE,
    javaScriptEnabled: options.hasJavaScript ?? true,
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const faults = watch(page, server.issuer)
  const person: Person = {
    page,
    context,
    async open(path) {
      const response = await page.goto(`${server.issuer}/console${path}`)
      return response?.status() ?? 0
    },
    async fill(fields) {
      for (const [label, value] of Object.entries(fields))
        await page.getByLabel(label, { exact: true }).fill(value)
    },
    async press(name) {
      const control = page
        .getByRole('button', { name, exact: true })
        .or(page.getByRole('link', { name, exact: true }))
      await Promise.all([page.waitForNavigation(), control.first().click()])
    },
    heading: () => page.locator('h1').innerText(),
    text: () => page.locator('main').innerText(),
    async signIn({ email, password }) {
      await person.open('/sign-in')
      await person.fill({ 'Email address': email, Password: password })
      await person.press('Sign in')
    },
    async look(name) {
      const found = faults.splice(0)
      if (found.length > 0) throw new Error(`${name}: ${found.join('\n')}`)
      if (options.hasJavaScript === false) return
      for (const [theme, size, suffix] of LOOKS) {
        await page.emulateMedia({ colorScheme: theme })
        await page.setViewportSize(size)
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${suffix}.png`), fullPage: true })
        await assertAccessible(page, `${name}, ${suffix}`)
      }
      await page.emulateMedia({ colorScheme: 'light' })
      await page.setViewportSize(WIDE)
    },
  }
  return person
}

/**
 * Signs in by single sign-on, through the pages of the provider; what stands there then is for the caller to judge. Each page
 * is waited for: one that is still on its way would interrupt the next.
 */
export async function signInByProvider(
  { page, open, fill, press }: Person,
  provider: { issuer: string },
  organizationSlug: string,
  subject: string,
): Promise<void> {
  await open('/sign-in')
  await press('Use single sign-on')
  await fill({ Organization: organizationSlug })
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.waitForURL(`${provider.issuer}/**`)
  await page.fill('[name=login]', subject)
  await page.fill('[name=password]', 'anything')
  await page.click('[type=submit]')
  await page.waitForSelector('text=Continue')
  await page.click('[type=submit]')
  await page.waitForURL(/^[^?]*\/console\//)
}

const LOOKS = [
  ['light', WIDE, 'light'],
  ['dark', WIDE, 'dark'],
  ['light', NARROW, 'narrow'],
] as const

/** What goes wrong on our own pages; other people's may be as they are. */
function watch(page: Page, issuer: string): string[] {
  const faults: string[] = []
  const isOurs = (url: string) => url.startsWith(issuer)
  page.on('console', (message) => {
    // The status of a page itself is for the test to judge.
    if (message.type() === 'error' && isOurs(page.url()) && !/^Failed to load resource/.test(message.text()))
      faults.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`page: ${error.message}`))
  page.on('requestfailed', (request) => {
    // A page that is left while it loads.
    if (isOurs(request.url()) && request.failure()?.errorText !== 'net::ERR_ABORTED')
      faults.push(`failed: ${request.url()}`)
  })
  page.on('response', (response) => {
    if (!isOurs(response.url())) return
    if (response.status() >= 400 && !response.request().isNavigationRequest())
      faults.push(`${response.status()}: ${response.url()}`)
    if (response.status() >= 500) faults.push(`${response.status()}: ${response.url()}`)
  })
  return faults
}

type Violation = { id: string; impact: string | null; nodes: { html: string; failureSummary: string }[] }

async function assertAccessible(page: Page, name: string): Promise<void> {
  await page.evaluate(AXE)
  const violations: Violation[] = await page.evaluate(
    // biome-ignore lint/suspicious/noExplicitAny: axe is in the page
    async () => (await (globalThis as any).axe.run()).violations,
  )
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  const wide = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  if (Number(wide) > 0) throw new Error(`${name}: the page is ${wide} pixels too wide`)
  if (grave.length > 0) throw new Error(`${name}: ${JSON.stringify(grave.map(summarize), null, 2)}`)
}

function summarize({ id, impact, nodes }: Violation) {
  return { id, impact, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) }
}
