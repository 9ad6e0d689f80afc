const BEYOND_ASCII = /[^\x00-\x7f]/
const UNFOLDED = /[^\x00-\x40\x5b-\x7f]/

/** Foldings applied before paths are compared: with case or without, and with compatibility forms kept (NFC) or folded (NFKC). */
export const FOLDINGS = {
  exact: (text: string): string => (BEYOND_ASCII.test(text) ? text.normalize('NFC') : text),
  caseless: (text: string): string => {
    if (!UNFOLDED.test(text)) return text
    return BEYOND_ASCII.test(text) ? foldCase(text.normalize('NFC')) : text.toLowerCase()
  },
  exactCompatible: (text: string): string =>
    BEYOND_ASCII.test(text) ? text.normalize('NFKC') : text,
  compatible: (text: string): string => {
    if (!UNFOLDED.test(text)) return text
    return BEYOND_ASCII.test(text)
      ? foldCase(text.normalize('NFKC')).normalize('NFKC')
      : text.toLowerCase()
  },
} as const

export type Folding = keyof typeof FOLDINGS

/** Returns whether every folding leaves the path unchanged and it has no final slash to ignore. */
export function isFolded(path: string): boolean {
  return !UNFOLDED.test(path) && (path === '/' || !path.endsWith('/'))
}

/**
 * Folds case of patterns and readings alike, so that they stay comparable (finding C2). Converts to upper case first,
 * because Java's `equalsIgnoreCase` treats `ı` and `İ` as `i`.
 */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll('i\u0307', 'i')
}
