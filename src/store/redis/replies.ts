import { unusableReply } from '../../redis/failure.ts'

/** Returns the reply as a list of texts. Throws `AuthError` `store_unavailable` for any other shape. */
export function readTexts(reply: unknown): readonly string[] {
  return readList(reply).map((each) =>
    typeof each === 'string' ? each : refuse('a text is missing'),
  )
}

/** Returns the reply as pairs of text and whole number. Throws `AuthError` `store_unavailable` for any other shape. */
export function readScoredTexts(
  reply: unknown,
): readonly (readonly [text: string, score: number])[] {
  return readList(reply).map((pair) => {
    const [text, score] = readList(pair)
    const isPair = typeof text === 'string' && typeof score === 'number'
    return isPair ? ([text, score] as const) : refuse('a pair of text and number is missing')
  })
}

/**
 * Returns the reply as a text, and `null` for a nil reply. Throws `AuthError` `store_unavailable` for any other shape.
 */
export function readTextOrNil(reply: unknown): string | null {
  return reply === null || typeof reply === 'string' ? reply : refuse('text or nil is missing')
}

/** Returns the reply as a whole number. Throws `AuthError` `store_unavailable` for any other shape. */
export function readWholeNumber(reply: unknown): number {
  return typeof reply === 'number' ? reply : refuse('a whole number is missing')
}

/** Returns the reply where it is one of `words`. Throws `AuthError` `store_unavailable` for any other reply. */
export function readWord<T extends string | number>(reply: unknown, words: readonly T[]): T {
  return words.find((word) => word === reply) ?? refuse(`none of ${words.join(', ')}`)
}

/** Returns the reply as byte strings or nil, one for each key. Throws for any other shape, because it is no miss. */
export function readValues(reply: unknown, count: number): readonly (Buffer | null)[] {
  const values = readList(reply)
  if (values.length !== count) refuse('one value for each key is missing')
  return values.map(readValue)
}

/** Returns the reply as a byte string or nil. Throws `AuthError` `store_unavailable` for any other shape. */
export function readValue(reply: unknown): Buffer | null {
  return reply === null || reply instanceof Buffer ? reply : refuse('bytes or nil are missing')
}

function readList(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : refuse('a list is missing')
}

function refuse(problem: string): never {
  throw unusableReply(`a reply has an unexpected shape: ${problem}`)
}
