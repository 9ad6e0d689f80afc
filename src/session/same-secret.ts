import { timingSafeEqual } from 'node:crypto'

const SECRET_CHARACTERS = 43
/** Buffers that every comparison reuses, because a buffer in each entry takes more memory than its secret. */
const keptSecret = Buffer.alloc(SECRET_CHARACTERS)
const sentSecret = Buffer.alloc(SECRET_CHARACTERS)

/** Compares secrets of session cookies in constant time, after their lengths, which are no secret. */
export function isSameSecret(kept: string, sent: string): boolean {
  if (sent.length !== SECRET_CHARACTERS || kept.length !== SECRET_CHARACTERS) return false
  keptSecret.write(kept, 'latin1')
  sentSecret.write(sent, 'latin1')
  return timingSafeEqual(keptSecret, sentSecret)
}
