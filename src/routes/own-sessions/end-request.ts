import { invalidRequest } from '../../errors.ts'

/** Sessions that a request asks to end: one by its digest, or all but the current one. */
export type EndRequest =
  | { readonly kind: 'one'; readonly digest: string }
  | { readonly kind: 'others' }

const NAMES: ReadonlySet<string> = new Set(['id', 'others', 'token'])

/** Reads a form and refuses unknown, empty and repeated parameters, because a typo could widen what is done. */
export function parseEndRequest(form: URLSearchParams): EndRequest {
  const names = [...form.keys()]
  const isClear = names.every((name) => NAMES.has(name) && form.get(name) !== '')
  if (!isClear || new Set(names).size !== names.length || form.has('id') === form.has('others')) {
    throw invalidRequest('Name what to end, once: id=<id of a session>, or others=all.')
  }
  const digest = form.get('id')
  if (digest !== null) return { kind: 'one', digest: readDigest(digest) }
  if (form.get('others') === 'all') return { kind: 'others' }
  throw invalidRequest('The parameter others has one value: all.')
}

function readDigest(text: string): string {
  if (/^[A-Za-z0-9_-]{43}$/.test(text)) return text
  throw invalidRequest('The parameter id is not the id of a session.')
}
