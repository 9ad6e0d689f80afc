import { createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { EpochMs } from '../../core/epoch-ms.ts'
import { type Binding, isRecent, LOGIN_LIFETIME_MS } from '../../core/login-binding.ts'
import { sha256 } from '../../crypto/digest.ts'
import type { KeyRing, SealContext } from '../../crypto/key-ring.ts'

const STATE_MAX_CHARS = 900
const TXID_BYTES = 16
const TIME_BYTES = 6
const PROOF_BYTES = 16
/** Purpose of the sealed long target; a new one for each format, because replicas of two versions may run. */
const LONG_TARGET = 'login-target-2'
/** Bounds what an unsealed long target may grow to. */
const MAX_TARGET_BYTES = 16 * 1024

/** Parameters of a login for the redirect; the server keeps no state. */
export interface StartedLogin {
  readonly state: string
  readonly nonce: string
  readonly codeChallenge: string
  /** Sealed target for a cookie of its own, where it does not fit into `state`. */
  readonly longTarget?: string
}

/** Login that returned from the provider. */
export interface ReturnedLogin {
  readonly txid: string
  readonly startedAtMs: number
  readonly isExpired: boolean
  /** Whether the page that continues a login with a replaced binding began this one. */
  readonly isRetry: boolean
  /** Whether another process began the login while this one was already running. */
  readonly isFromElsewhere: boolean
  /** Whether a replica in memory mode began it, which shares no sessions (finding C52). */
  readonly isFromMemory: boolean
  /** Absent when a later login has replaced the cookie that held it. */
  readonly target?: ReturnedTarget
  /** Secrets for redeeming the code; absent unless the browser that began the login presents its binding. */
  readonly secrets?: { readonly nonce: string; readonly codeVerifier: string }
}

/** Target of a returned login: an absolute URL, and what carried it. */
export interface ReturnedTarget {
  readonly url: string
  readonly carriedBy: 'state' | 'cookie'
}

/** Sealed login state without storage on the server (threats A48, A51-A53, A64). */
export interface LoginTransactions {
  start(binding: Binding, target: string, origin: string, isRetry: boolean): StartedLogin
  /** Returns `undefined` for a state that was changed, sealed with another key, or made for another origin. */
  resume(returned: ReturnedState): ReturnedLogin | undefined
}

/** State and cookies that the browser presents at the callback. */
export interface ReturnedState {
  readonly state: string
  readonly origin: string
  readonly binding: Binding | undefined
  readonly longTarget: string | undefined
}

/** Bits of the flags byte: a retry, memory mode, and a random mark that tells most other processes from this one. */
const RETRY_FLAG = 1
const MEMORY_FLAG = 2
const MARK_BITS = 0xfc

/** Offsets in a state: txid, time, flags, proof of the binding, target. */
const TIME_AT = TXID_BYTES
const FLAGS_AT = TIME_AT + TIME_BYTES
const PROOF_AT = FLAGS_AT + 1
const TARGET_AT = PROOF_AT + PROOF_BYTES

/**
 * Seals the state with the server key alone and adds a proof of the binding secret, so that a tab whose binding was
 * replaced by another tab still knows its target.
 */
export function createLoginTransactions(
  ring: KeyRing,
  now: () => EpochMs,
  isInMemory = false,
): LoginTransactions {
  const mark = (randomInt(256) & MARK_BITS) | (isInMemory ? MEMORY_FLAG : 0)
  const runningSinceMs = now()
  const context = (purpose: string, realm: string): SealContext => ({ purpose, name: '', realm })
  const seal = (purpose: string, origin: string, ...parts: Buffer[]) =>
    ring.seal(Buffer.concat(parts), context(purpose, origin)).toString('base64url')
  const open = (purpose: string, origin: string, sealed: string) =>
    /^[A-Za-z0-9_-]+$/.test(sealed)
      ? ring.open(Buffer.from(sealed, 'base64url'), context(purpose, origin))
      : undefined

  function openLongTarget(
    { longTarget, origin }: ReturnedState,
    txid: Buffer,
  ): ReturnedTarget | undefined {
    const unsealed = longTarget === undefined ? undefined : open(LONG_TARGET, origin, longTarget)
    if (!unsealed?.subarray(0, TXID_BYTES).equals(txid)) return undefined
    const packed = unsealed.subarray(TXID_BYTES)
    const url = inflateRawSync(packed, { maxOutputLength: MAX_TARGET_BYTES }).toString()
    return { url, carriedBy: 'cookie' }
  }

  return {
    start(binding, target, origin, isRetry) {
      const txid = randomBytes(TXID_BYTES)
      const startedAt = Buffer.alloc(TIME_BYTES)
      startedAt.writeUIntBE(now(), 0, TIME_BYTES)
      const { proof, nonce, codeVerifier } = deriveAll(binding, txid)
      const flags = Buffer.of(mark | (isRetry ? RETRY_FLAG : 0))
      const head = Buffer.concat([txid, startedAt, flags, proof])
      const codeChallenge = sha256(codeVerifier)
      const state = seal('login-state', origin, head, Buffer.from(target))
      if (state.length <= STATE_MAX_CHARS) return { state, nonce, codeChallenge }
      // Packs the longest target into a cookie with the longest name (finding C43).
      const longTarget = seal(LONG_TARGET, origin, txid, deflateRawSync(target))
      return { state: seal('login-state', origin, head), nonce, codeChallenge, longTarget }
    },

    resume(returned) {
      const unsealed = open('login-state', returned.origin, returned.state)
      if (!unsealed || unsealed.length < TARGET_AT) return undefined
      const txid = unsealed.subarray(0, TXID_BYTES)
      const startedAtMs = unsealed.readUIntBE(TIME_AT, TIME_BYTES)
      const inState = unsealed.subarray(TARGET_AT).toString()
      const target: ReturnedTarget | undefined =
        inState === '' ? openLongTarget(returned, txid) : { url: inState, carriedBy: 'state' }
      const derived = returned.binding && deriveAll(returned.binding, txid)
      const flags = unsealed.readUInt8(FLAGS_AT)
      const isBound =
        derived && timingSafeEqual(derived.proof, unsealed.subarray(PROOF_AT, TARGET_AT))
      return {
        txid: txid.toString('base64url'),
        startedAtMs,
        isExpired: now() - startedAtMs > LOGIN_LIFETIME_MS,
        isRetry: (flags & RETRY_FLAG) !== 0,
        isFromElsewhere: (flags & ~RETRY_FLAG) !== mark && startedAtMs > runningSinceMs,
        isFromMemory: (flags & MEMORY_FLAG) !== 0,
        ...(target && { target }),
        ...(isBound && { secrets: { nonce: derived.nonce, codeVerifier: derived.codeVerifier } }),
      }
    },
  }
}

/**
 * Creates a secret for a browser that has none or whose user may have changed; it voids logins begun before (finding
 * C9).
 */
export function newBinding(): Binding {
  return { secret: randomBytes(32).toString('base64url'), rounds: 0, sinceSeconds: 0 }
}

/**
 * Counts a finished sign-in and replaces the secret. Parallel tabs count as one round, because all of them start from
 * the same count.
 */
export function countRound(binding: Binding, nowSeconds: number): Binding {
  return countFailedRound({ ...binding, secret: newBinding().secret }, nowSeconds)
}

/** Counts a login that spent its code for nothing; keeps the secret, because other tabs may be signing in. */
export function countFailedRound(binding: Binding, nowSeconds: number): Binding {
  return isRecent(binding, nowSeconds)
    ? { ...binding, rounds: binding.rounds + 1 }
    : { ...binding, rounds: 1, sinceSeconds: nowSeconds }
}

/** Derives proof, nonce and code verifier (43 characters, RFC 7636 section 4.1) from the binding secret. */
function deriveAll({ secret }: Binding, txid: Buffer) {
  const derive = (purpose: string) =>
    createHmac('sha256', secret).update(`vestibule/1/${purpose}/`).update(txid).digest()
  return {
    proof: derive('binding').subarray(0, PROOF_BYTES),
    nonce: derive('nonce').toString('base64url'),
    codeVerifier: derive('code_verifier').toString('base64url'),
  }
}
