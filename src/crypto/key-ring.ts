import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** What a sealed value is for. Opening with any other context fails, so no value can stand in for another. */
export interface SealContext {
  readonly purpose: string
  /** The key name or other place the value belongs to. */
  readonly name: string
  /** `COOKIE_DOMAIN`, or the host the value was made for. */
  readonly realm: string
  /** The holder's half of the key; without it the server key alone opens the value. */
  readonly secret?: string
}

/** Authenticated encryption (AES-256-GCM under HKDF-SHA-256 keys, RFC 5869) with a ring of server keys. */
export interface KeyRing {
  /** Seals with the first key. */
  seal(plaintext: Uint8Array, context: SealContext): Buffer
  /** Opens with whichever key sealed it; nothing for anything tampered with, foreign or of another version. */
  open(sealed: Uint8Array, context: SealContext): Buffer | undefined
  /** A value derived from the first key, for tokens that need no decryption. */
  derive(purpose: string): Buffer
  /** One for each key, by which holders of the same keys know each other and nobody learns anything else. */
  fingerprints(): string[]
  replaceKeys(keys: readonly Buffer[]): void
}

const FORMAT_VERSION = 1
const KEY_ID_BYTES = 8
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES

interface ServerKey {
  readonly id: Buffer
  readonly key: Buffer
}

/** Throws a `TypeError` when there is no key. */
export function createKeyRing(initialKeys: readonly Buffer[]): KeyRing {
  let keys = identify(initialKeys)
  return {
    seal(plaintext, context) {
      const [{ id, key }] = keys
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', contextKey(key, context), nonce)
      cipher.setAAD(associatedData(context))
      const header = Buffer.concat([Buffer.of(FORMAT_VERSION), id, nonce])
      return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    },
    open(sealed, context) {
      if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== FORMAT_VERSION) return undefined
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
      const keyId = bytes.subarray(1, 1 + KEY_ID_BYTES)
      const serverKey = keys.find(({ id }) => id.equals(keyId))
      return serverKey && openWith(serverKey.key, bytes, context)
    },
    derive: (purpose) => expand(keys[0].key, '', purpose, 32),
    fingerprints: () => keys.map(({ key }) => expand(key, '', 'fleet', 16).toString('base64url')),
    replaceKeys(next) {
      keys = identify(next)
    },
  }
}

function openWith(key: Buffer, sealed: Buffer, context: SealContext): Buffer | undefined {
  const nonce = sealed.subarray(1 + KEY_ID_BYTES, HEADER_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', contextKey(key, context), nonce, {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(associatedData(context))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, -TAG_BYTES))
  try {
    decipher.final()
  } catch {
    // The one thing `final` reports is a tag that does not fit: not ours, or changed.
    return undefined
  }
  return plaintext
}

/** The key id is derived, so that it tells nothing about the key. */
function identify(keys: readonly Buffer[]): [ServerKey, ...ServerKey[]] {
  const [first, ...rest] = keys.map((key) => ({ id: expand(key, '', 'kid', KEY_ID_BYTES), key }))
  if (!first) throw new TypeError('a key ring needs at least one key')
  return [first, ...rest]
}

function contextKey(key: Buffer, { purpose, name, secret = '' }: SealContext): Buffer {
  return expand(key, secret, JSON.stringify([purpose, name]), 32)
}

function associatedData({ purpose, name, realm }: SealContext): Buffer {
  return Buffer.from(JSON.stringify([FORMAT_VERSION, purpose, name, realm]))
}

function expand(key: Buffer, salt: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `vestibule/1/${info}`, bytes))
}
