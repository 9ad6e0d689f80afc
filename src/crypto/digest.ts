import { createHash, hash } from 'node:crypto'

export function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** Returns a name of fixed length for parts of any content; lengths keep `a,bc` and `ab,c` apart (A74, A92). */
export function digestOfParts(...parts: readonly string[]): string {
  const parted = createHash('sha256')
  for (const part of parts) parted.update(`${Buffer.byteLength(part)}:${part}`)
  return parted.digest('base64url')
}
