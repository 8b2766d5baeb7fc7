import { raw, html as tag } from 'hono/html'

/** Markup that is safe to send: made by `html` alone. */
export type Html = ReturnType<typeof raw>

/** What can stand in a template: text, which is escaped; markup; nothing; or several of them. */
export type Content = Html | string | number | false | null | undefined | readonly Content[]

/**
 * The one way in which markup is made. Everything that is put in is escaped, for text and for attribute values in
 * double quotes. Hono's own tag would also take promises and objects; this one takes neither, so that a mistake
 * is found by the compiler and a page is never half awaited.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return tag(strings, ...values) as Html
}

/** Nothing. */
export const NOTHING: Html = raw('')

/** Several pieces of markup as one. */
export function join(parts: readonly Html[]): Html {
  return html`${parts}`
}
