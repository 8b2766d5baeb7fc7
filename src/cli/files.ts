import { readFile } from 'node:fs/promises'
import { type KeyFile, parseKeyFile } from '../directory/key-file.ts'
import { codeOf, messageOf, OperatorError } from '../errors.ts'

/** Reads a file that the command line names; `what` is what should be in it. Throws OperatorError. */
export async function readNamedFile(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new OperatorError(
      codeOf(error) === 'ENOENT'
        ? `There is no file ${path}; it should hold ${what}.`
        : `The file ${path} cannot be read: ${messageOf(error)}. It should hold ${what}.`,
    )
  }
}

/** Reads a key file. Throws OperatorError that names the file and what is wrong with it. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const text = await readNamedFile(path, 'a key file')
  try {
    return parseKeyFile(text)
  } catch (error) {
    if (error instanceof OperatorError) throw new OperatorError(`${path}: ${error.message}`)
    throw error
  }
}
