import type { Principal, Session } from '../core/session.ts'

/** Fixed parts of an entry: its texts and numbers, its places in two maps, and its prepared answer's object. */
const ENTRY_BYTES = 600
const POINTER_BYTES = 8
const TEXT_HEAD_BYTES = 16
const LIST_HEAD_BYTES = 48
const OBJECT_HEAD_BYTES = 64

/**
 * Returns the bytes that a cached session takes in V8's heap: its values, the answer that checks prepare from them, and
 * its sealed records as one text. A test compares the sum with resident memory (finding C61).
 */
export function heldBytes(session: Session, sealedBytes: number): number {
  return ENTRY_BYTES + valueBytes(session) + answerBytes(session) + textBytes(sealedBytes)
}

/**
 * Headers share the session's texts of ASCII characters; several members of a list are joined to a new text, and a token in
 * `Authorization` is copied behind its scheme.
 */
function answerBytes({ identity, accessToken, idToken }: Principal): number {
  const lists = [identity.groups, ...Object.values(identity.claims)]
  const joined = lists.flatMap((each) =>
    typeof each === 'string' || each.length < 2 ? [] : each.join().length,
  )
  const tokens = [accessToken, idToken].flatMap((each) => each?.value.length ?? [])
  return [...joined, ...tokens].reduce((sum, length) => sum + textBytes(length), 0)
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return textBytes(value.length * (isLatin1(value) ? 1 : 2))
  if (typeof value === 'number') return TEXT_HEAD_BYTES
  if (typeof value !== 'object' || value === null) return 0
  const members = Object.values(value)
  const head = Array.isArray(value) ? LIST_HEAD_BYTES : OBJECT_HEAD_BYTES
  return members.reduce<number>((sum, each) => sum + POINTER_BYTES + valueBytes(each), head)
}

function textBytes(characterBytes: number): number {
  return TEXT_HEAD_BYTES + Math.ceil(characterBytes / POINTER_BYTES) * POINTER_BYTES
}

function isLatin1(text: string): boolean {
  return !/[^\0-\xff]/.test(text)
}
