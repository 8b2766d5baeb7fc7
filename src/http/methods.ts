import type { RequestHandler } from 'express'
import { Refusal } from '../errors.ts'

/** Refuses every method that the path does not serve (RFC 9110 §15.5.6). Mounted after those it does. */
export function allowOnly(...allowedMethods: readonly string[]): RequestHandler {
  return (req) => {
    throw new Refusal('method_not_allowed', { method: req.method }, { allowedMethods })
  }
}
