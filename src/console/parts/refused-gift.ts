import { type Draft, refusedDraft } from '../forms.ts'
import type { OrganizationVisit } from '../visit.ts'

/**
 * The draft of a form by which somebody gives something: what the rule has refused stands beside the field, with
 * names in place of the ids in it.
 */
export function refusedGift(
  error: unknown,
  { form }: OrganizationVisit,
  options: {
    field: string
    names: Iterable<{ id: string; name: string }>
    fields?: Readonly<Record<string, string>>
  },
): Draft {
  const draft = refusedDraft(error, form, options.fields)
  if (draft.problem === undefined) return draft
  let { text } = draft.problem
  for (const { id, name } of options.names) text = text.replaceAll(id, `«${name}»`)
  return { ...draft, faults: [{ field: options.field, text }], problem: undefined }
}
