/** SQLSTATE `unique_violation`. */
const UNIQUE_VIOLATION = '23505'

/**
 * The name of the unique constraint or index that a statement met; undefined for every other error. So a race
 * between two nodes is decided by the database, and the loser is told like someone who came later.
 */
export function violatedUnique(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== UNIQUE_VIOLATION) return undefined
  return 'constraint' in error ? String(error.constraint) : undefined
}
