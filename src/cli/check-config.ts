import { type GivenSetting, readConfig, readSettings, SETTINGS, type SettingName } from '../config.ts'
import { parseDatabaseUrl } from '../database-url.ts'
import { type ConfigurationFlags, toSettings } from './flags.ts'

/** Shows every setting, then judges them together: throws OperatorError that names all faults. */
export function checkConfig(flags: ConfigurationFlags): void {
  const settings = toSettings(flags)
  for (const setting of readSettings(settings)) {
    process.stdout.write(`${describe(setting)}\n    ${SETTINGS[setting.name].description}\n`)
  }
  const { issuer, production } = readConfig(settings)
  process.stdout.write(
    `\nThe configuration is sound. The issuer is ${issuer}${production ? ', and NODE_ENV is production' : ''}.\n`,
  )
}

function describe({ name, value, origin }: GivenSetting): string {
  if (value !== undefined) return `${name}=${mask(name, value)}  (${origin})`
  const fallback = defaultOf(name)
  return fallback === '' ? `${name}  (not set)` : `${name}=${fallback}  (default)`
}

function defaultOf(name: SettingName): string {
  const parsed = SETTINGS[name].safeParse(undefined)
  return parsed.success && parsed.data !== undefined ? String(parsed.data) : ''
}

/** A secret is told by whether it is there, not by its length or its first letters. */
function mask(name: SettingName, value: string): string {
  switch (name) {
    case 'COUNTERSIGN_KEY_ENCRYPTION_KEY':
      return '***'
    case 'DATABASE_URL':
      return maskUrl(value)
    default:
      return value
  }
}

/** A password may stand in the authority or among the parameters. What is no URL is not shown at all. */
function maskUrl(text: string): string {
  try {
    return parseDatabaseUrl(text).urls.map(maskPasswords).join(', ')
  } catch {
    return '***'
  }
}

function maskPasswords(text: string): string {
  const url = new URL(text)
  if (url.password !== '') url.password = '***'
  for (const name of url.searchParams.keys()) {
    if (/pass/i.test(name)) url.searchParams.set(name, '***')
  }
  return url.href
}
