const BEYOND_ASCII = /[^\x00-\x7f]/
const UNFOLDED = /[^\x00-\x40\x5b-\x7f]/

/** How closely letters are compared, from letter by letter to whatever some software takes for the same. */
export const FOLDINGS = {
  exact: (text: string): string => (BEYOND_ASCII.test(text) ? text.normalize('NFC') : text),
  caseless: (text: string): string => {
    if (!UNFOLDED.test(text)) return text
    return BEYOND_ASCII.test(text) ? foldCase(text.normalize('NFC')) : text.toLowerCase()
  },
  compatible: (text: string): string => {
    if (!UNFOLDED.test(text)) return text
    return BEYOND_ASCII.test(text)
      ? foldCase(text.normalize('NFKC')).normalize('NFKC')
      : text.toLowerCase()
  },
} as const

export type Folding = keyof typeof FOLDINGS

/** Whether a path looks the same to every comparison, with its final slash and without. */
export function isFolded(path: string): boolean {
  return !UNFOLDED.test(path) && (path === '/' || !path.endsWith('/'))
}

/**
 * Folds patterns and readings alike, so that neither is spelled in a way that the other cannot have (finding C2).
 * By way of capitals, because `equalsIgnoreCase` of Java takes `ı` and `İ` for `i`.
 */
function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase().replaceAll('i\u0307', 'i')
}
