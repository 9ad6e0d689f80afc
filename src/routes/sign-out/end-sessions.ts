import type { IncomingMessage } from 'node:http'
import type { Identity } from '../../core/identity.ts'
import type { SessionCredential } from '../../core/session.ts'
import { AuthError, OutageError } from '../../errors.ts'
import { createAddressLimit } from '../../http/address-limit.ts'
import type { Cookies } from '../../http/cookies.ts'
import { type NodeContext, requestIdOf, traceOf } from '../../http/node-env.ts'
import { peerAddress, type TrustedProxies } from '../../http/trusted-proxies.ts'
import type { RevocableTokens, SignIn } from '../../oidc/sign-in.ts'
import { within } from '../../oidc/time-limit.ts'
import type { Ending } from '../../session/end-session.ts'
import type { Sessions } from '../../session/sessions.ts'
import { type Log, userDigest } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'

/** A session that has ended; whose it was is not known where the store could not be asked. */
export interface Ended {
  readonly ending: Ending
  readonly identity?: Identity
  readonly idToken?: string
}

/** Whether the browser is sent to the provider. */
export type SignOutKind = 'rp_initiated' | 'local'

/** Ends sessions by their cookies, whatever is away just now. */
export interface SignOut {
  /** Every session that the browser presents, with its tokens. */
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

/** How long somebody who signs out waits for the provider to revoke tokens. */
const REVOCATION_WAIT_MS = 2000
/** Bounds the sign-outs of one address that cannot be verified during a store outage (finding C12). */
const MAX_UNVERIFIED = 20
const UNVERIFIED_PERIOD_MS = 60_000

export function createSignOut(options: SignOutOptions): SignOut {
  const { cookies, sessions, signIn, log, metrics } = options
  const isRare = createAddressLimit({ max: MAX_UNVERIFIED, periodMs: UNVERIFIED_PERIOD_MS })

  /** Nothing where there was no session. */
  async function endOne(c: NodeContext, credential: SessionCredential): Promise<Ended | undefined> {
    const raw = c.env.incoming
    const site = c.get('site')
    const realm = options.realmOf(site.host)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found = await sessions.find(credential, realm, { standIn }).catch(away)
    if (!found) return undefined
    if (found === 'away') return deferUnverified(c, credential, realm)
    const { identity } = found.session
    if (found.source === 'store') return { identity, ...(await endStored(c, credential, realm)) }
    return { identity, ending: sessions.deferEndTogether(credential) }
  }

  /** Defers a sign-out that cannot be verified now, rate-limited because anybody can make such cookies up. */
  function deferUnverified(c: NodeContext, credential: SessionCredential, realm: string): Ended {
    const { address } = options.proxies.limitedOrigin(c.env.incoming)
    if (!isRare(address)) {
      throw new AuthError('busy', 'too many unverified sign-outs from one address')
    }
    return { ending: sessions.deferUnverifiedEnd(credential, realm, address) }
  }

  async function endStored(c: NodeContext, credential: SessionCredential, realm: string) {
    const tokens = await sessions.findTokens(credential, realm).catch(away)
    const ending = await sessions.endTogether(credential)
    if (!tokens || tokens === 'away') return { ending }
    await revoke(c.env.incoming, tokens)
    return { ending, idToken: tokens.idToken }
  }

  /** The session has ended by now, whether or not the provider can be told. */
  async function revoke(raw: IncomingMessage, tokens: RevocableTokens): Promise<void> {
    await within(REVOCATION_WAIT_MS, signIn.revoke(tokens)).catch((cause: unknown) => {
      metrics.tokenRevocationFailed()
      log.warn(
        {
          event: 'revocation_failed',
          code: cause instanceof AuthError ? cause.code : 'internal',
          request_id: requestIdOf(raw),
          ...traceOf(raw),
        },
        'tokens could not be revoked at the provider',
      )
    })
  }

  function reportOne(c: NodeContext, { identity, ending }: Ended, kind: SignOutKind) {
    const raw = c.env.incoming
    if (identity) metrics.signOut()
    log.info(
      {
        event: 'sign_out',
        kind,
        ending,
        ...(identity
          ? { user: userDigest(identity.issuer, identity.subject) }
          : { verified: false, client: options.proxies.clientAddress(raw) ?? peerAddress(raw) }),
        host: c.get('site').host,
        request_id: requestIdOf(raw),
        ...traceOf(raw),
      },
      identity
        ? 'signed out'
        : 'signed out, unverified: the session is looked up when Redis is back',
    )
  }

  function report(c: NodeContext, ended: readonly Ended[], kind: SignOutKind): void {
    for (const each of ended) reportOne(c, each, kind)
  }

  return {
    async end(c) {
      // The order of cookies is not the user's, and whichever was left would let somebody in again.
      const credentials = cookies.readSessions(c.env.incoming, c.get('site'))
      const tries = await Promise.allSettled(credentials.map((each) => endOne(c, each)))
      const ended = tries.flatMap((each) => (each.status === 'fulfilled' ? (each.value ?? []) : []))
      const failed = tries.find(({ status }) => status === 'rejected')
      if (failed?.status !== 'rejected') return ended
      // Those that have ended are audited, although the answer speaks of the one that has not.
      report(c, ended, 'local')
      throw failed.reason
    },
    report,
  }
}

/** Any failure but an outage is one for whoever asks. */
function away(error: unknown): 'away' {
  if (error instanceof OutageError) return 'away'
  throw error
}
