import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** ASCII «record separator»: stands after the output of each block. */
const SEPARATOR = '\x1e'

/** What the reader pastes, and what the page says that it prints: nothing where no output is shown. */
export type Block = { heading: string; commands: string; shown: string }

/** Blocks marked `sh` are pasted; what is marked `text` right below one is its output. */
export function readBlocks(page: string): Block[] {
  const found: Block[] = []
  let heading = ''
  for (const [, title, language, content = ''] of page.matchAll(/^## (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title
    if (language === 'sh') found.push({ heading, commands: content, shown: '' })
    if (language === 'text') Object.assign(found.at(-1) ?? {}, { shown: content })
  }
  return found
}

/**
 * Runs all blocks in one bash in the folder, after `preamble`, and answers what each printed: standard output and error as
 * a terminal shows them.
 */
export async function pasteBlocks(
  blocks: readonly Block[],
  options: { folder: string; env: Record<string, string>; preamble?: string },
): Promise<string[]> {
  const path = join(options.folder, '.output')
  const output = await open(path, 'w')
  const texts = [options.preamble ?? '', ...blocks.map(({ commands }) => commands)]
  const bash = spawn('bash', ['--norc', '-s'], {
    cwd: options.folder,
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ['pipe', output.fd, output.fd],
  })
  bash.stdin?.end(texts.map((text) => `${text}printf '\\036'\n`).join(''))
  await once(bash, 'close')
  await output.close()
  return (await readFile(path, 'utf8')).split(SEPARATOR).slice(1)
}

/** A line of nothing but `…` stands for any lines, `…` within a line for anything on it. */
export function toPattern(shown: string): RegExp {
  const lines = shown
    .split('\n')
    .map((line) =>
      line.trim() === '…' ? '(?:.*\\n)*?' : `${line.split('…').map(RegExp.escape).join('.*')}\\n`,
    )
  return new RegExp(`^${lines.slice(0, -1).join('')}$`)
}
