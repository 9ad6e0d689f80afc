import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { KeyRing, SealContext } from '../seal.ts'

/** What a login transaction may take, from the redirect to the provider until its answer. */
export const LOGIN_LIFETIME_MS = 10 * 60 * 1000

const STATE_MAX_CHARS = 900
const TXID_BYTES = 16
const TIME_BYTES = 6
const LOOP_ROUNDS = 3
const LOOP_WINDOW_SECONDS = 30

/** The browser's side of all its logins: one secret, and the sign-ins finished of late. */
export interface Binding {
  readonly secret: string
  readonly rounds: number
  readonly roundsSince: number
}

/** A login as it goes out; nothing of it is kept on the server. */
export interface StartedLogin {
  readonly state: string
  readonly nonce: string
  readonly codeChallenge: string
  /** The sealed target, for the further cookie, where it does not fit into `state`. */
  readonly longTarget?: string
}

/** A login as it comes back. */
export interface ReturnedLogin {
  readonly txid: string
  readonly startedAtMs: number
  readonly isExpired: boolean
  /** Absolute, or nothing when the cookie that held it has been replaced by a later login. */
  readonly target?: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** Sealed login state (threats A48, A51-A53, A64): it costs the server nothing and the browser one cookie. */
export interface LoginTransactions {
  start(binding: Binding, target: string, origin: string): StartedLogin
  /** Nothing for a state that is not ours, was changed, or belongs to another browser or origin. */
  resume(
    binding: Binding,
    state: string,
    origin: string,
    longTarget?: string,
  ): ReturnedLogin | undefined
}

export function createLoginTransactions(ring: KeyRing, now: () => number): LoginTransactions {
  const context = (purpose: string, binding: Binding, origin: string): SealContext => ({
    purpose,
    name: '',
    realm: origin,
    secret: binding.secret,
  })
  return {
    start(binding, target, origin) {
      const txid = randomBytes(TXID_BYTES)
      const startedAt = Buffer.alloc(TIME_BYTES)
      startedAt.writeUIntBE(now(), 0, TIME_BYTES)
      const seal = (purpose: string, ...parts: Buffer[]) =>
        ring.seal(Buffer.concat(parts), context(purpose, binding, origin)).toString('base64url')
      const id = txid.toString('base64url')
      const secrets = {
        nonce: derive(binding, 'nonce', id),
        codeChallenge: challengeOf(derive(binding, 'code_verifier', id)),
      }
      const state = seal('login-state', txid, startedAt, Buffer.from(target))
      if (state.length <= STATE_MAX_CHARS) return { state, ...secrets }
      return {
        state: seal('login-state', txid, startedAt),
        ...secrets,
        longTarget: seal('login-target', txid, Buffer.from(target)),
      }
    },

    resume(binding, state, origin, longTarget) {
      const opened = ring.open(
        Buffer.from(state, 'base64url'),
        context('login-state', binding, origin),
      )
      if (!opened || opened.length < TXID_BYTES + TIME_BYTES) return undefined
      const txid = opened.subarray(0, TXID_BYTES)
      const startedAtMs = opened.readUIntBE(TXID_BYTES, TIME_BYTES)
      const inState = opened.subarray(TXID_BYTES + TIME_BYTES).toString()
      const further =
        longTarget &&
        ring.open(Buffer.from(longTarget, 'base64url'), context('login-target', binding, origin))
      const inCookie =
        further && further.subarray(0, TXID_BYTES).equals(txid)
          ? further.subarray(TXID_BYTES).toString()
          : ''
      const target = inState || inCookie
      const id = txid.toString('base64url')
      return {
        txid: id,
        startedAtMs,
        isExpired: now() - startedAtMs > LOGIN_LIFETIME_MS,
        ...(target && { target }),
        nonce: derive(binding, 'nonce', id),
        codeVerifier: derive(binding, 'code_verifier', id),
      }
    },
  }
}

/** A browser that has no binding yet gets a new secret. */
export function newBinding(): Binding {
  return { secret: randomBytes(32).toString('base64url'), rounds: 0, roundsSince: 0 }
}

/** `v1.<secret>.<rounds>.<since>`, under 100 bytes. */
export function formatBinding({ secret, rounds, roundsSince }: Binding): string {
  return `v1.${secret}.${rounds}.${roundsSince}`
}

export function parseBinding(value: string): Binding | undefined {
  const match = /^v1\.([A-Za-z0-9_-]{43})\.(\d{1,3})\.(\d{1,12})$/.exec(value)
  if (!match) return undefined
  return { secret: match[1] as string, rounds: Number(match[2]), roundsSince: Number(match[3]) }
}

/** Counts a finished sign-in. Parallel tabs finish as one round, since all of them start from the same count. */
export function countRound(binding: Binding, nowSeconds: number): Binding {
  const isRecent = nowSeconds - binding.roundsSince < LOOP_WINDOW_SECONDS
  return isRecent
    ? { ...binding, rounds: binding.rounds + 1 }
    : { ...binding, rounds: 1, roundsSince: nowSeconds }
}

/** Three finished sign-ins in 30 s and yet another one asked for: the session does not come back (threat A50). */
export function isLooping(binding: Binding, nowSeconds: number): boolean {
  return binding.rounds >= LOOP_ROUNDS && nowSeconds - binding.roundsSince < LOOP_WINDOW_SECONDS
}

/** RFC 7636 section 4.1 asks for 43 to 128 characters; this has 43. */
function derive(binding: Binding, purpose: string, txid: string): string {
  return createHmac('sha256', binding.secret)
    .update(`vestibule/1/${purpose}/${txid}`)
    .digest('base64url')
}

function challengeOf(codeVerifier: string): string {
  return createHash('sha256').update(codeVerifier).digest('base64url')
}
