import { ValueError } from './config-error.ts'

const MIN_KEY_BYTES = 32

/**
 * Parses `SESSION_ENCRYPTION_KEY`: keys separated by commas or newlines, each in hex, base64 or base64url and of at
 * least 32 bytes. Throws `ValueError` that names the position of each bad key and never its value (A101).
 */
export function parseKeys(text: string): Buffer[] {
  const entries = text
    .split(/[,\r\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
  if (entries.length === 0) throw new ValueError('no key given')
  const keys = entries.map(decodeKey)
  const faults = keys.flatMap((key, index) => {
    const fault = faultOf(key)
    return fault === undefined ? [] : [`key ${index + 1} ${fault}`]
  })
  if (faults.length > 0) throw new ValueError(faults.join('; '))
  return keys.filter((key) => key !== undefined)
}

function faultOf(key: Buffer | undefined): string | undefined {
  if (!key) return 'is neither hex, base64 nor base64url'
  if (key.length < MIN_KEY_BYTES) {
    return `has ${key.length} bytes, at least ${MIN_KEY_BYTES} are needed`
  }
  return new Set(key).size < 8 ? 'is not random' : undefined
}

function decodeKey(entry: string): Buffer | undefined {
  if (/^[0-9a-f]+$/i.test(entry))
    return entry.length % 2 === 0 ? Buffer.from(entry, 'hex') : undefined
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(entry)) return undefined
  return Buffer.from(entry, 'base64')
}
