import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** Context of a sealed value, authenticated so that no value can be used in place of another. */
export interface SealContext {
  readonly purpose: string
  /** Key or other place at which the value is stored. */
  readonly name: string
  /** `COOKIE_DOMAIN`, or the host of the value. */
  readonly realm: string
  /** Secret of the cookie, mixed into the key; without one the server key alone opens the value. */
  readonly secret?: string
}

/** Authenticated encryption with rotating server keys (AES-256-GCM, keys by HKDF-SHA-256, RFC 5869). */
export interface KeyRing {
  /** Seals with the first key. */
  seal(plaintext: Uint8Array, context: SealContext): Buffer
  /** Opens a value with the key that sealed it; `undefined` for a changed or foreign value, or another version. */
  open(sealed: Uint8Array, context: SealContext): Buffer | undefined
  /** Derives 32 bytes from the first key, for MACs. */
  derive(purpose: string): Buffer
  /** Returns a fingerprint of each key in base64url, equal on replicas with the same key. */
  fingerprints(): string[]
  replaceKeys(keys: readonly Buffer[]): void
}

const FORMAT_VERSION = 1
const KEY_ID_BYTES = 8
const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION = Buffer.of(FORMAT_VERSION)
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES

interface ServerKey {
  readonly id: Buffer
  readonly key: Buffer
  /** Keys of contexts without a name and a secret, of which there are a few, each derived once. */
  readonly unnamed: Map<string, Buffer>
}

/** Creates a key ring. Throws a `TypeError` when there is no key. */
export function createKeyRing(initialKeys: readonly Buffer[]): KeyRing {
  let keys = identify(initialKeys)
  return {
    seal(plaintext, context) {
      const [serverKey] = keys
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', contextKey(serverKey, context), nonce)
      cipher.setAAD(associatedData(context))
      const sealed = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]
      return Buffer.concat([VERSION, serverKey.id, nonce, ...sealed])
    },
    open(sealed, context) {
      if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== FORMAT_VERSION) return undefined
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
      const keyId = bytes.subarray(1, 1 + KEY_ID_BYTES)
      const serverKey = keys.find(({ id }) => id.equals(keyId))
      return serverKey && openWith(serverKey, bytes, context)
    },
    derive: (purpose) => expand(keys[0].key, '', purpose, 32),
    fingerprints: () => keys.map(({ key }) => expand(key, '', 'fleet', 16).toString('base64url')),
    replaceKeys(next) {
      keys = identify(next)
    },
  }
}

function openWith(key: ServerKey, sealed: Buffer, context: SealContext): Buffer | undefined {
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
    // `final` throws only for a tag that does not match.
    return undefined
  }
  return plaintext
}

/** Derives the key id, so that it reveals nothing about the key. */
function identify(keys: readonly Buffer[]): [ServerKey, ...ServerKey[]] {
  const [first, ...rest] = keys.map((key) => ({
    id: expand(key, '', 'kid', KEY_ID_BYTES),
    key,
    unnamed: new Map<string, Buffer>(),
  }))
  if (!first) throw new TypeError('a key ring needs at least one key')
  return [first, ...rest]
}

function contextKey({ key, unnamed }: ServerKey, context: SealContext): Buffer {
  const { purpose, name, secret = '' } = context
  const derive = () => expand(key, secret, JSON.stringify([purpose, name]), 32)
  return name === '' && secret === '' ? unnamed.getOrInsertComputed(purpose, derive) : derive()
}

function associatedData({ purpose, name, realm }: SealContext): Buffer {
  return Buffer.from(JSON.stringify([FORMAT_VERSION, purpose, name, realm]))
}

function expand(key: Buffer, salt: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `vestibule/1/${info}`, bytes))
}
