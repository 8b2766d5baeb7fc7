import { globSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

const sources = globSync('src/**/*.ts').map((file) => ({ file, text: readFileSync(file, 'utf8') }))
const page = readFileSync('docs/security/secrets.md', 'utf8')

/** Those that compare a guess with a secret of ours in the process, rather than look its digest up. */
const COMPARING = [
  'src/authentication/password.ts',
  'src/authentication/safe-equal.ts',
  'src/console/form-token.ts',
  'src/oauth/client-secret.ts',
  'src/possession/nonces.ts',
]
const BY_SAFE_EQUAL = ['src/authentication/openid-sign-in.ts', 'src/authentication/totp.ts']

const using = (pattern: RegExp) =>
  sources
    .filter(({ text }) => pattern.test(text))
    .map(({ file }) => file)
    .sort()

test('secrets are compared in constant time, in the modules that the page of secrets names', () => {
  expect(using(/timingSafeEqual\(/)).toEqual(COMPARING)
  expect(using(/\bsafeEqual\(/).filter((file) => !COMPARING.includes(file))).toEqual(BY_SAFE_EQUAL)
  const named = [...COMPARING, ...BY_SAFE_EQUAL].filter((file) => !file.endsWith('safe-equal.ts'))
  expect(named.filter((file) => !page.includes(file.replace('src/', '')))).toEqual([])
})

test('no digest or secret is compared by ===, by equals() or by Buffer.compare()', () => {
  // The hash chain of the audit trail is recomputed from what is stored; a certificate is public.
  const allowed = ['src/directory/audit-verification.ts', 'src/possession/client-certificate.ts']
  const careless =
    /\b(digest|secret|password|code|state|mac|tag)\b\)? ?[!=]== ?(?!undefined|null|'|0|[A-Z_]+\b)\w|\.equals\(|Buffer\.compare\(|\.compare\(/
  const found = sources.flatMap(({ file, text }) =>
    text
      .split('\n')
      .filter((line) => careless.test(line) && !/^\s*(\*|\/\/)/.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  )
  expect(found.filter((line) => !allowed.some((file) => line.startsWith(file)))).toEqual([])
})
