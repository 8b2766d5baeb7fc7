import { readFileSync } from 'node:fs'
import { createBom, type Lock } from './bom.ts'

/**
 * Prints the software bill of materials of what a production installation consists of: CycloneDX 1.6, made from the
 * lock file alone. (npm has a command for this, whose `--omit dev` loses half of the packages.)
 */
const read = (file: string) => JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8'))
process.stdout.write(`${JSON.stringify(createBom(read('package-lock.json') as Lock), null, 2)}\n`)
