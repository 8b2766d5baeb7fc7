import type { Environment } from '../config.ts'

/** The flags that stand for settings, as commander hands them over. */
export type ConfigurationFlags = {
  port?: string
  issuer?: string
  dataDir?: string
  keysDir?: string
  workers?: string
}

/** The flags under their variables' names, which is how `readConfig` takes them. */
export function toSettings(flags: ConfigurationFlags): Environment {
  return {
    COUNTERSIGN_PORT: flags.port,
    COUNTERSIGN_ISSUER: flags.issuer,
    COUNTERSIGN_DATA_DIR: flags.dataDir,
    COUNTERSIGN_KEYS_DIR: flags.keysDir,
    COUNTERSIGN_WORKERS: flags.workers,
  }
}
