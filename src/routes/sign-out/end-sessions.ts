import type { IncomingMessage } from 'node:http'
import type { Identity } from '../../core/identity.ts'
import type { SessionCredential } from '../../core/session.ts'
import { AuthError, OutageError } from '../../errors.ts'
import { createAddressLimit } from '../../http/address-limit.ts'
import type { Cookies } from '../../http/cookies.ts'
import { type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import { peerAddress, type TrustedProxies } from '../../http/trusted-proxies.ts'
import { providerTooSlow } from '../../oidc/failure/translate.ts'
import type { RevocableTokens, SignIn } from '../../oidc/sign-in.ts'
import type { Ending } from '../../session/end-session.ts'
import type { Sessions } from '../../session/sessions.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { within } from '../../timing/time-limit.ts'

/** Ended session; `unverified` where the store could not be asked whose it is. */
export type Ended = { readonly ending: Ending } & (
  | { readonly kind: 'verified'; readonly identity: Identity; readonly idToken?: string }
  | { readonly kind: 'unverified' }
)

/** Kind of a sign-out: `rp_initiated` sends the browser to the provider. */
export type SignOutKind = 'rp_initiated' | 'local'

/** Ends sessions by their cookies, during outages too. */
export interface SignOut {
  /** Ends every session that the browser presents, and revokes its tokens. */
  end(c: NodeContext): Promise<readonly Ended[]>
  report(c: NodeContext, ended: readonly Ended[], kind: SignOutKind): void
}

export interface SignOutOptions {
  readonly cookies: Cookies
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly realmOf: (host: string) => string
  readonly proxies: TrustedProxies
  readonly log: Log
  readonly metrics: Metrics
}

/** Time that a sign-out waits for the provider to revoke tokens. */
const REVOCATION_WAIT_MS = 2000
/** Bounds the sign-outs of one address that cannot be verified during a store outage (finding C12). */
const MAX_UNVERIFIED = 20
const UNVERIFIED_PERIOD_MS = 60_000

/**
 * Creates a sign-out that also ends sessions whose cookies cannot be verified during an outage, a bounded number per
 * address.
 */
export function createSignOut(options: SignOutOptions): SignOut {
  const { cookies, sessions, signIn, log, metrics } = options
  const takeUnverifiedTurn = createAddressLimit({
    max: MAX_UNVERIFIED,
    periodMs: UNVERIFIED_PERIOD_MS,
  })

  /** Ends one session; resolves to `undefined` where there was none. */
  async function endOne(c: NodeContext, credential: SessionCredential): Promise<Ended | undefined> {
    const raw = c.env.incoming
    const site = c.get('site')
    const realm = options.realmOf(site.host)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found = await sessions.find(credential, realm, { standIn }).catch(away)
    if (!found) return undefined
    if (found === 'away') return deferUnverified(c, credential, realm)
    const verified = { kind: 'verified', identity: found.session.identity } as const
    if (found.source === 'store') return { ...verified, ...(await endStored(c, credential, realm)) }
    return { ...verified, ending: sessions.deferEndTogether(credential) }
  }

  /** Defers a sign-out that cannot be verified now, rate-limited because anybody can forge such cookies. */
  function deferUnverified(c: NodeContext, credential: SessionCredential, realm: string): Ended {
    const { address } = options.proxies.limitedOrigin(c.env.incoming)
    if (!takeUnverifiedTurn(address)) {
      throw new AuthError('busy', 'too many unverified sign-outs from one address')
    }
    return { kind: 'unverified', ending: sessions.deferUnverifiedEnd(credential, realm, address) }
  }

  async function endStored(c: NodeContext, credential: SessionCredential, realm: string) {
    const tokens = await sessions.findTokens(credential, realm).catch(away)
    const ending = await sessions.endTogether(credential)
    if (!tokens || tokens === 'away') return { ending }
    await revoke(c.env.incoming, tokens)
    return { ending, idToken: tokens.idToken }
  }

  /** Revokes tokens; a failure is logged only, because the session has ended already. */
  async function revoke(raw: IncomingMessage, tokens: RevocableTokens): Promise<void> {
    await within(signIn.revoke(tokens), REVOCATION_WAIT_MS, providerTooSlow).catch(
      (cause: unknown) => {
        metrics.tokenRevocationFailed()
        log.warn(
          {
            event: 'revocation_failed',
            ...(cause instanceof AuthError
              ? { code: cause.code, reason: cause.message, ...cause.facts }
              : { code: 'internal' }),
            request_id: requestIdOf(raw),
            ...traceOf(raw),
          },
          'tokens could not be revoked at the provider',
        )
      },
    )
  }

  function reportOne(c: NodeContext, ended: Ended, kind: SignOutKind): void {
    const raw = c.env.incoming
    const { ending } = ended
    const about = { host: c.get('site').host, request_id: requestIdOf(raw), ...traceOf(raw) }
    switch (ended.kind) {
      case 'verified': {
        const user = userDigest(ended.identity.issuer, ended.identity.subject)
        metrics.signOut()
        log.info({ event: 'sign_out', kind, ending, user, ...about }, 'a user signed out')
        break
      }
      case 'unverified': {
        const client = options.proxies.clientAddress(raw) ?? peerAddress(raw)
        log.info(
          { event: 'sign_out', kind, ending, verified: false, client, ...about },
          'an unverified sign-out was deferred until Redis is back',
        )
        break
      }
    }
  }

  function report(c: NodeContext, ended: readonly Ended[], kind: SignOutKind): void {
    for (const each of ended) reportOne(c, each, kind)
  }

  return {
    async end(c) {
      // Ends all of them, because any that was left would sign the browser in again.
      const credentials = cookies.readSessions(c.env.incoming, c.get('site'))
      const tries = await Promise.allSettled(credentials.map((each) => endOne(c, each)))
      const ended = tries.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : []))
      const failed = tries.find(({ status }) => status === 'rejected')
      if (failed?.status !== 'rejected') return ended
      // Logs the ended ones too, because the answer is only about the failed one.
      report(c, ended, 'local')
      throw failed.reason
    },
    report,
  }
}

/** Turns a store outage into `away` and rethrows any other error. */
function away(error: unknown): 'away' {
  if (error instanceof OutageError) return 'away'
  throw error
}
