import { expect, test } from '@jest/globals'
import { slugFromName, withSuffix } from '../../src/directory/slugs.ts'

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

test.each([
  ['Billing sync', 'billing-sync'],
  ['  --Émile & Zoë--  ', 'emile-zoe'],
  ['a', 'a'],
  ['日本', 'account'],
  ['---', 'account'],
  ['👩‍🚀 42', '42'],
  [`${'x'.repeat(49)} y`, 'x'.repeat(49)],
  ['x'.repeat(200), 'x'.repeat(50)],
])('%j reads as %j, a valid slug with and without a suffix', (name, slug) => {
  expect(slugFromName(name)).toBe(slug)
  expect(slug).toMatch(SLUG)
  expect(withSuffix(slug)).toMatch(SLUG)
})
