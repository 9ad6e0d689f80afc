const NAMED: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', 0: '\0' }

/**
 * Splits a template at its blanks and line breaks into a table of payloads. Escapes mean what they mean in a string
 * literal, so that `\x20` is a blank inside a word and `\\` one backslash.
 */
export function words(
  template: TemplateStringsArray,
  ...values: readonly string[]
): readonly string[] {
  return String.raw(template, ...values)
    .trim()
    .split(/\s+/)
    .map(unescaped)
}

function unescaped(word: string): string {
  return word.replaceAll(/\\(?:x(..)|u(....)|(.))/g, (_all, byte, unit, letter) => {
    const hex = (byte ?? unit) as string | undefined
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return NAMED[String(letter)] ?? String(letter)
  })
}

/** Rows for a table whose payloads may be too long for a title: the payload as JSON, cut, and the payload itself. */
export function labelled<T>(payloads: readonly T[]): readonly (readonly [string, T])[] {
  return payloads.map((payload) => [(JSON.stringify(payload) ?? 'undefined').slice(0, 60), payload])
}

/** Makes a table row of each word of a template and the same further columns. */
export function rows(template: TemplateStringsArray, ...values: readonly string[]) {
  return <const Columns extends readonly unknown[]>(...columns: Columns): [string, ...Columns][] =>
    words(template, ...values).map((word) => [word, ...columns])
}

/**
 * Makes rows of words like `sub="a"&sid`: the word, cut, and an object with these members, whose values are JSON; a
 * name alone is a member that is `undefined`.
 */
export function members(template: TemplateStringsArray, ...values: readonly string[]) {
  return words(template, ...values).map((word): [string, Record<string, unknown>] => [
    word.slice(0, 60),
    Object.fromEntries(word.split('&').map(memberIn)),
  ])
}

function memberIn(text: string): [string, unknown] {
  const [name = '', ...json] = text.split('=')
  return [name, json.length === 0 ? undefined : JSON.parse(json.join('='))]
}
