import { load } from 'js-yaml'

/** What a YAML text says: read by whoever knows what stands in it. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the text's own
export function parseYaml(text: string): any {
  return load(text)
}
