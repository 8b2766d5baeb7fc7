import { globSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'

const pages = [...globSync('*.md'), ...globSync('docs/**/*.md'), ...globSync('keys/*.md')]

describe('programs shown in the documentation are the files that the tests run', () => {
  const page = readFileSync('docs/clients.md', 'utf8')
  const shown = [...page.matchAll(/<!-- file: (\S+) -->\n```\w*\n([\s\S]*?)\n```/g)]

  test('there are some', () => expect(shown.length).toBeGreaterThan(4))

  test.each(shown.map((match) => [match[1] ?? '', match[2] ?? '']))('%s', (file, text) => {
    expect(text).toBe(readFileSync(file, 'utf8').trimEnd())
  })
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
