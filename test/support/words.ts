/** Splits a list of words at white space, so that a list of short texts takes few lines. */
export function words(list: TemplateStringsArray): readonly string[] {
  return list.raw.join('').trim().split(/\s+/)
}

/** Makes a table row of each word of a list and the same further columns. */
export function rows(list: TemplateStringsArray) {
  return <const Columns extends readonly unknown[]>(...columns: Columns): [string, ...Columns][] =>
    words(list).map((word) => [word, ...columns])
}
