/** Returns JSON for a terminal, which obeys control characters (A93). */
export function toSafeJson(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2).replace(
    /[\x7f-\x9f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `${text}\n`
}

/** Returns lines for a terminal, which obeys control characters (A93). */
export function toSafeLines(lines: readonly string[]): string {
  const escaped = lines.map((line) => line.toWellFormed().replace(UNSAFE, escapeCharacter))
  return escaped.map((line) => `${line}\n`).join('')
}

/** Matches what a terminal obeys or does not show: control and format characters, and separators of lines. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}
