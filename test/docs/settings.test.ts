import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { SETTINGS, type SettingName } from '../../src/config.ts'

const PAGE = 'docs/operations.md'
const SECTION = /(<!-- settings: .*? -->\n)[\s\S]*?(<!-- \/settings -->)/

test('the page for operators shows every setting as the configuration has it', () => {
  const page = readFileSync(PAGE, 'utf8')
  const wanted = page.replace(SECTION, (_all, begin, end) => `${begin}\n${makeTable()}\n${end}`)
  if (process.env.UPDATE_DOCS !== undefined) writeFileSync(PAGE, wanted)
  expect(readFileSync(PAGE, 'utf8')).toBe(wanted)
  expect(wanted).toContain('| `COUNTERSIGN_PORT` | 8080 |')
})

function makeTable(): string {
  const rows = (Object.keys(SETTINGS) as SettingName[]).map(
    (name) => `| \`${name}\` | ${defaultOf(name)} | ${SETTINGS[name].description?.replaceAll('<', '\\<')} |`,
  )
  return `${['| Variable | Default | What it does |', '| --- | --- | --- |', ...rows].join('\n')}\n`
}

function defaultOf(name: SettingName): string {
  const parsed = SETTINGS[name].safeParse(undefined)
  return parsed.success && parsed.data !== undefined ? String(parsed.data) : ''
}
