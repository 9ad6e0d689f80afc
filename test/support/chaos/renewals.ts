import { setTimeout as wait } from 'node:timers/promises'
import { decodeProtectedHeader } from 'jose'
import { type Json, type SeenProviderRequest } from '../../../stand-ins/provider/front.ts'
import type { TestProvider } from '../provider.ts'
import { changeClaims, claimsOf } from '../tokens.ts'
import type { TokenChain } from './ledger.ts'
import type { Trouble } from './trouble.ts'

interface Renewal {
  readonly chain: TokenChain
  readonly replica: number
  answeredAtMs: number | undefined
}

/** Watches the provider's token endpoint: who holds which tokens, and whether a renewal is refused. */
export type Renewals = ReturnType<typeof watchRenewals>

export interface RenewalsOptions {
  readonly provider: TestProvider
  readonly trouble: Trouble
  /** The `kid` of each replica's client key. */
  readonly replicas: readonly string[]
  readonly onRefused: (chain: TokenChain, replica: number, body: Json) => void
}

/** An answer that has come is stored within this time where Redis is there. */
const STORED_WITHIN_MS = 2000
/** A sign-in waits for no more than 5 s, a renewal for 30 s. */
const SIGN_IN_DELAY_MAX_MS = 2500
const KEPT_MS = 90_000

export function watchRenewals(options: RenewalsOptions) {
  const { provider, trouble } = options
  const chains = new Map<string, TokenChain>()
  const latest = new Map<string, TokenChain>()
  const sids = new Map<string, string>()
  let granted = 0
  let renewals: Renewal[] = []
  const underWay = new Map<SeenProviderRequest, Renewal>()
  let delayMs = 0

  const before = async (request: SeenProviderRequest): Promise<void> => {
    const form = new URLSearchParams(request.body)
    const chain = chains.get(form.get('refresh_token') ?? '')
    const { kid } = decodeProtectedHeader(form.get('client_assertion') ?? '')
    const replica = options.replicas.indexOf(kid ?? '')
    if (chain) {
      const nowMs = performance.now()
      renewals = renewals.filter(({ answeredAtMs }) => nowMs - (answeredAtMs ?? nowMs) < KEPT_MS)
      const renewal = { chain, replica, answeredAtMs: undefined }
      renewals.push(renewal)
      underWay.set(request, renewal)
    }
    await wait(chain ? delayMs / 2 : Math.min(delayMs / 2, SIGN_IN_DELAY_MAX_MS))
  }

  const withSid = async (body: Json, sid: string): Promise<Json> => {
    if (typeof body['id_token'] !== 'string') return body
    const claims = changeClaims(claimsOf(body['id_token']), { sid })
    return { ...body, id_token: await provider.sign(claims) }
  }

  const redeem = async (body: Json): Promise<Json> => {
    if (typeof body['id_token'] !== 'string') return body
    const sub = String(claimsOf(body['id_token']).sub)
    const chain = { sub, sid: sids.get(sub) ?? sub }
    latest.set(sub, chain)
    chains.set(String(body['refresh_token']), chain)
    return withSid(body, chain.sid)
  }

  const rewrite = async (body: Json, request: SeenProviderRequest): Promise<Json> => {
    const renewal = underWay.get(request)
    if (!renewal) return redeem(body)
    underWay.delete(request)
    const { chain, replica } = renewal
    if (typeof body['refresh_token'] === 'string') {
      chains.set(body['refresh_token'], chain)
      granted += 1
    } else options.onRefused(chain, replica, body)
    await wait(delayMs / 2)
    renewal.answeredAtMs = performance.now()
    return withSid(body, chain.sid)
  }

  const isHeld = ({ replica, answeredAtMs }: Renewal): boolean => {
    if (answeredAtMs === undefined) return true
    const nowMs = performance.now()
    const isAway = trouble.isUnsure(replica, answeredAtMs, answeredAtMs + STORED_WITHIN_MS)
    const settledMs = isAway ? trouble.firstCalm(replica, answeredAtMs) : answeredAtMs
    return settledMs === undefined || nowMs < settledMs + STORED_WITHIN_MS
  }

  return {
    /** Returns the chain of the last code that was redeemed for this person. */
    latestChain: (sub: string) => latest.get(sub),
    setSid: (sub: string, sid: string) => void sids.set(sub, sid),
    /** Tokens may only be in the memory of this replica: under way, or not stored for sure. */
    heldBy: (replica: number) =>
      renewals
        .filter((renewal) => renewal.replica === replica && isHeld(renewal))
        .map(({ chain }) => chain),
    /** From now on half of this passes before the work is done, and half behind it. */
    delay: (ms: number) => {
      delayMs = ms
    },
    /** Makes the endpoint work, and be watched. */
    watch: () => provider.set('token', { before, rewrite }),
    granted: () => granted,
  }
}
