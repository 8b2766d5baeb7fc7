import { type Content, type Html, html } from '../html.ts'

export type Column = {
  title: string
  /** `number` is aligned to the right with tabular figures; `action` has no visible title. */
  kind?: 'number' | 'action'
}

/**
 * A table of one line per object; the first cell names it and links to it. On narrow screens each row becomes a
 * card: the roles keep it a table for those who hear it.
 */
export function table(options: {
  /** What is listed, for those who hear it. */
  label: string
  columns: readonly Column[]
  rows: readonly (readonly Content[])[]
  /** Columns of one width, where several such tables stand below one another. */
  isAligned?: boolean
}): Html {
  const { label, columns, rows, isAligned } = options
  return html`<div class="table-frame"><table role="table" aria-label="${label}"${isAligned && html` class="aligned"`}>
  <thead role="rowgroup"><tr role="row">
    ${columns.map(
      ({ title, kind }) =>
        html`<th role="columnheader" scope="col" class="${kind ?? ''}">${kind === 'action' ? html`<span class="hidden">${title}</span>` : title}</th>`,
    )}
  </tr></thead>
  <tbody role="rowgroup">
    ${rows.map((cells) => html`<tr role="row">${cells.map((cell, index) => drawCell(cell, columns[index], index))}</tr>`)}
  </tbody>
</table></div>`
}

function drawCell(cell: Content, column: Column | undefined, index: number): Html {
  const { title = '', kind = '' } = column ?? {}
  if (index === 0) return html`<th role="rowheader" scope="row">${cell}</th>`
  return html`<td role="cell" class="${kind}" data-label="${title}"><div class="cell">${cell}</div></td>`
}
