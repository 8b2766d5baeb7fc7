import { styleText } from 'node:util'
import { OperatorError } from '../errors.ts'
import { type Answer, describeRefusal } from './http.ts'

/** Tells a story step by step and holds it to what it promised. */
export type Narrator = {
  /** What stands before and after the steps. */
  say(text: string): void
  /** Begins a step. */
  step(title: string): void
  /** A call and how it was answered. Throws OperatorError when the answer is not the expected one. */
  expect(call: string, answer: Answer, expected: { status: number; error?: string }): Answer['body']
  /** A line that explains. */
  note(text: string): void
  /** A JSON value, for those who want to see it. */
  show(value: unknown): void
}

/** A narrator that writes to standard output. */
export function createNarrator(write: (line: string) => void): Narrator {
  let number = 0
  return {
    say: (text) => write(`\n${text}`),
    step(title) {
      number += 1
      write(`\n${styleText('bold', `${number}. ${title}`)}`)
    },
    expect(call, answer, { status, error }) {
      const isExpected = answer.status === status && (error === undefined || answer.body?.error === error)
      const outcome = answer.status < 400 ? String(answer.status) : describeRefusal(answer)
      write(`   ${shortenIds(call)} → ${isExpected ? outcome : styleText('red', outcome)}`)
      if (isExpected) return answer.body
      throw new OperatorError(
        `Step ${number} of the demo did not behave: ${call} should have answered ${status}${error === undefined ? '' : ` ${error}`}, ` +
          `and answered ${describeRefusal(answer)}.`,
      )
    },
    note: (text) => write(`   ${text}`),
    show: (value) => write(styleText('dim', JSON.stringify(value, null, 2).replaceAll(/^/gm, '     '))),
  }
}

/** Ids of one moment begin alike; their ends tell them apart. */
function shortenIds(text: string): string {
  return text.replaceAll(/\b([a-z]+_)[0-9a-z]{32}([0-9a-z]{4})\b/g, '$1…$2')
}
