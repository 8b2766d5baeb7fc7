import { describe, expect, test } from '@jest/globals'
import { normalizeDefinitions } from '../../src/directory/definitions.ts'
import { INTROSPECT_PERMISSION } from '../../src/directory/management-permissions.ts'

describe('what a resource server defines', () => {
  test('is sorted by code point, and has tokens:introspect in any case', () => {
    const names = normalizeDefinitions([
      { name: 'b', description: '' },
      { name: 'A', description: '' },
    ]).map((definition) => definition.name)
    expect(names).toEqual(['A', 'b', 'tokens:introspect'])
    expect(normalizeDefinitions([])).toEqual([INTROSPECT_PERMISSION])
  })

  test('may list tokens:introspect as it is, with its description or none', () => {
    for (const description of ['', INTROSPECT_PERMISSION.description])
      expect(normalizeDefinitions([{ name: 'tokens:introspect', description }])).toEqual([
        INTROSPECT_PERMISSION,
      ])
  })

  test('may not give it another meaning, nor name anything twice', () => {
    const bad = [
      { name: 'tokens:introspect', description: 'everything' },
      { name: 'a', description: '' },
      { name: 'a', description: '' },
    ]
    expect(() => normalizeDefinitions(bad)).toThrow('input_invalid')
  })
})
