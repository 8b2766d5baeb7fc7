import { expect, test } from '@jest/globals'
import { normalizeTarget } from '../../src/possession/target-uri.ts'

test.each([
  ['https://id.example.com/oauth/token', 'https://id.example.com/oauth/token'],
  ['https://id.example.com/oauth/token?a=b#c', 'https://id.example.com/oauth/token'],
  ['HTTPS://ID.Example.COM:443/oauth/token', 'https://id.example.com/oauth/token'],
  ['http://id.example.com:80/', 'http://id.example.com/'],
  ['http://id.example.com:8080', 'http://id.example.com:8080/'],
  ['https://[::1]:8443/x', 'https://[::1]:8443/x'],
  ['https://h/%7euser/%41', 'https://h/~user/A'],
  ['https://h/a%2fb%c3%a9', 'https://h/a%2Fb%C3%A9'],
  ['https://h/a/./b/../c', 'https://h/a/c'],
  ['https://h/a/%2e%2e/c', 'https://h/c'],
])('%s is %s', (uri, normal) => {
  expect(normalizeTarget(uri)).toBe(normal)
  expect(normalizeTarget(normal)).toBe(normal)
})

test.each([
  '',
  '/oauth/token',
  '//h/oauth/token',
  'ftp://h/x',
  'javascript:alert(1)',
  'https:',
  'https://',
  'https:h/x',
  'https:///h/x',
  'https://user@h/x',
  'https://user:password@h/x',
  'https://h/ü',
  'https://h/a b',
  ' https://h/x',
  'https://h/x\n',
  'https://h\\x',
  'https://h:99999/x',
  'https://h/<>',
  `https://h/${'a'.repeat(2048)}`,
])('%s is no target', (uri) => {
  expect(normalizeTarget(uri)).toBeUndefined()
})
