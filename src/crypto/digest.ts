import { hash } from 'node:crypto'

export function sha256(content: string | Uint8Array): string {
  return hash('sha256', content, 'base64url')
}

/** Returns a name of fixed length for parts of any content; lengths keep `a,bc` and `ab,c` apart (A74, A92). */
export function digestOfParts(...parts: readonly string[]): string {
  return sha256(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''))
}
