import { globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import rows from './conformance/rows.json' with { type: 'json' }
import unmet from './conformance/unmet.json' with { type: 'json' }

const pages = [...globSync('*.md'), ...globSync('docs/**/*.md'), ...globSync('keys/*.md')]

/**
 * A program is shown below `<!-- file: test/… -->`: the whole file, or with `#name` the lines between its comments
 * `#region name` and `#endregion`, without the indentation that they have in common.
 */
describe('programs shown in the documentation are the files that the tests run', () => {
  const shown = pages.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/<!-- file: (\S+) -->\n(?:```\w*\n([\s\S]*?)\n```)?/g)].map(
      (match) => ({ page, source: match[1] ?? '', text: match[2] }),
    ),
  )

  test('there are some', () => expect(shown.length).toBeGreaterThan(4))

  test.each(shown)('$page shows $source as it is', ({ source, text }) => {
    const [file = '', region] = source.split('#')
    expect(file).toMatch(/^test\//)
    const program = readFileSync(file, 'utf8').trimEnd()
    expect(text).toBe(region === undefined ? program : cutRegion(program, region))
  })
})

/** Whoever copies a configuration that guards an API must know whether anybody ever ran it. */
describe('what these guides show is a file of the tests, or said not to be run', () => {
  const guides = ['docs/guides/forward-auth.md', 'docs/guides/resource-servers.md']
  const blocks = guides.flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/([^\n]*)\n+```(\w+)\n(.*)/g)].map(
      ([, before, language, line]) => ({
        page,
        before,
        block: `${language}: ${line}`,
      }),
    ),
  )

  test.each(blocks)('$page, $block', ({ before }) => {
    expect(before).toMatch(/^(<!-- file: \S+ -->|Not run by a test\.( Tried by hand with .+\.)?)$/)
  })
})

test('the rows that docs/protocol.md names are rows of the conformance page, and hold', () => {
  const lines = readFileSync('docs/protocol.md', 'utf8').split('\n')
  const named = lines.flatMap((line) => (line.startsWith('| ') ? (line.split(' | ').at(-1) ?? '') : []))
  const ids = named.slice(2).flatMap((cell) => cell.replace(/ \|$/, '').split(', '))
  const known = new Set(rows.rows.map(({ id }) => id))
  expect(ids.length).toBeGreaterThan(30)
  expect(ids.filter((id) => !known.has(id) || id in unmet)).toEqual([])
})

test.each(pages)('%s has no half-made merge in it', (page) => {
  expect(readFileSync(page, 'utf8')).not.toMatch(/^(<{7}|={7}|>{7})( |$)/m)
})

describe('links between pages lead somewhere', () => {
  test.each(pages)('%s', (page) => {
    const folder = page.includes('/') ? page.slice(0, page.lastIndexOf('/') + 1) : ''
    const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(
      (match) => match[1] ?? '',
    )
    const dead = links.filter((link) => globSync(`${folder}${link}`.replace(/\/$/, '')).length === 0)
    expect(dead).toEqual([])
  })
})

function cutRegion(program: string, name: string): string {
  const lines = program.split('\n')
  const starts = lines.flatMap((line, index) =>
    line.trimEnd().endsWith(`#region ${name}`) ? [index + 1] : [],
  )
  const [start = 0] = starts
  const length = lines.slice(start).findIndex((line) => line.trimEnd().endsWith('#endregion'))
  if (starts.length !== 1 || length < 1) throw new Error(`the file has not exactly once: #region ${name}`)
  const region = lines.slice(start, start + length)
  const indents = region
    .filter((line) => line.trim() !== '')
    .map((line) => /^\s*/.exec(line)?.[0].length ?? 0)
  return region.map((line) => line.slice(Math.min(...indents))).join('\n')
}

test('every decision has a number of its own, in its name and in its title, and none is left out', () => {
  const decisions = globSync('docs/decisions/*.md').sort()
  const numbers = decisions.map((file) => Number(file.slice('docs/decisions/'.length).slice(0, 4)))
  expect(numbers).toEqual(decisions.map((_, index) => index + 1))
  const titles = decisions.map((file) => Number(/^# (\d+)\. /.exec(readFileSync(file, 'utf8'))?.[1]))
  expect(titles).toEqual(numbers)
})
