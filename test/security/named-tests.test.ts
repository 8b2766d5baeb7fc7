import { existsSync, globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'

const pages = globSync('docs/security/*.md')

/** `` `test/….test.ts` «title» ``: the title is the test's, or a part of it. */
const named = pages.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/`(test\/[\w/.-]+\.test\.ts)` «([^»]*)»/g)].map(
    ([, file = '', title = '']) => ({ page, file, title }),
  ),
)

describe('a control that names a test is held by it', () => {
  test('there are many', () => expect(named.length).toBeGreaterThan(100))

  test.each(named)('$page: $file «$title»', ({ file, title }) => {
    expect(existsSync(file)).toBe(true)
    expect(title.length).toBeGreaterThan(8)
    expect(readTitles(readFileSync(file, 'utf8')).filter((text) => text.includes(title))).not.toEqual([])
  })
})

test('every threat has a control, and a test unless the page says that it is not held', () => {
  const page = readFileSync('docs/security/threat-model.md', 'utf8')
  const threats = [...page.matchAll(/^\| ([STRIDE]) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$/gm)]
  expect(threats.length).toBeGreaterThan(45)
  const unheld = threats.filter(
    ([, , , control = '', tests = '']) => !tests.includes('«') && !/[Nn]ot held/.test(control),
  )
  expect(unheld.map(([row]) => row)).toEqual([])
})

/** Whatever stands in quotes as a title: of a test, of a group, or of a row in a table of tests. */
function readTitles(source: string): string[] {
  return [...source.matchAll(/'((?:[^'\\\n]|\\.)*)'|`([^`\n]*)`/g)].map(
    ([, one, other]) => one ?? other ?? '',
  )
}
