import { type Content, type Html, html } from '../html.ts'

/** Names and values of one object, one line each. */
export function facts(list: readonly (readonly [name: string, value: Content])[]): Html {
  return html`<dl class="facts">${list.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
