import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

/**
 * The requirements of levels 1 and 2 in ASVS 5.0, chapter by chapter: section, then numbers. Those of level 2 are
 * marked.
 */
const REQUIREMENTS: Record<string, string> = {
  '4.1': '1 2* 3*',
  '4.2': '1*',
  '4.3': '1* 2*',
  '4.4': '1 2* 3* 4*',
  '6.1': '1 2* 3*',
  '6.2': '1 2 3 4 5 6 7 8* 9* 10* 11*',
  '6.3': '1 2* 3*',
  '6.4': '1 2 3* 4*',
  '6.5': '1* 2* 3* 4* 5*',
  '6.6': '1* 2* 3*',
  '6.8': '1* 2* 3*',
  '7.1': '1* 2* 3*',
  '7.2': '1 2 3 4',
  '7.3': '1* 2*',
  '7.4': '1 2 3* 4* 5*',
  '7.5': '1* 2*',
  '7.6': '1* 2*',
  '8.1': '1 2*',
  '8.2': '1 2 3*',
  '8.3': '1',
  '8.4': '1*',
  '11.1': '1* 2*',
  '11.2': '1* 2* 3*',
  '11.3': '1 2 3*',
  '11.4': '1 2* 3* 4*',
  '11.5': '1*',
  '11.6': '1*',
  '13.1': '1*',
  '13.2': '1* 2* 3* 4* 5*',
  '13.3': '1* 2*',
  '13.4': '1 2* 3* 4* 5*',
  '16.1': '1*',
  '16.2': '1* 2* 3* 4* 5*',
  '16.3': '1* 2* 3* 4*',
  '16.4': '1* 2* 3*',
  '16.5': '1* 2* 3*',
}
const VERDICTS = ['met', 'partly', 'not met', 'deployment', 'does not apply']

const page = readFileSync('docs/security/asvs.md', 'utf8')
const rows = [...page.matchAll(/^\| (\d+\.\d+\.\d+) \| (\d) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, id = '', level = '', verdict = '', how = '']) => ({ id, level, verdict, how }),
)

test('every requirement of levels 1 and 2 has a verdict, once, and its level', () => {
  const wanted = Object.entries(REQUIREMENTS).flatMap(([section, numbers]) =>
    numbers
      .split(' ')
      .map((number) => `${section}.${number.replace('*', '')} ${number.endsWith('*') ? 2 : 1}`),
  )
  expect(rows.map(({ id, level }) => `${id} ${level}`)).toEqual(wanted)
})

test('each verdict is one of five, with a reason', () => {
  expect(rows.filter(({ verdict, how }) => !VERDICTS.includes(verdict) || how.trim().length < 5)).toEqual([])
})

test('the sums are right', () => {
  const count = (verdict: string) => rows.filter((row) => row.verdict === verdict).length
  expect(page).toContain(
    `**${count('met')} of ${rows.length} are met**, ${count('partly')} partly, ${count('not met')} are not, ` +
      `${count('deployment')} are the deployment's, ${count('does not apply')} do not apply.`,
  )
})
