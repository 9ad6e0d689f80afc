import type { EpochMs } from '../core/epoch-ms.ts'
import type { Identity } from '../core/identity.ts'
import { OutageError } from '../errors.ts'
import type { Addresses } from '../http/addresses.ts'
import { json } from '../http/answers.ts'
import type { Cookies } from '../http/cookies.ts'
import { type NodeContext, requestIdOf } from '../http/request.ts'
import type { FoundSession } from '../session/find-session.ts'
import type { Sessions } from '../session/sessions.ts'

export interface MeOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly sessions: Pick<Sessions, 'find' | 'readLives'>
  readonly realmOf: (host: string) => string
  /** Claims that are shown beside those that every identity has. */
  readonly claims: readonly string[]
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  readonly now: () => EpochMs
}

const NO_STORE = ['Cache-Control', 'no-cache, no-store, must-revalidate'] as const

/**
 * Serves `GET BASE_PATH/me`: the signed-in user's claims and facts of the session as JSON, or 401 without a session. With
 * `slide=false` the request does not count as use.
 */
export function createMe(options: MeOptions) {
  const { addresses, cookies, sessions, realmOf, idleTimeoutMs, now } = options

  /** Resolves with `undefined` where the session has ended since it was found. */
  async function leftMs(found: FoundSession): Promise<number | undefined> {
    const absoluteMs = found.session.expiresAt - now()
    if (!idleTimeoutMs) return absoluteMs
    const untilIdleMs = Math.min(idleTimeoutMs, absoluteMs)
    // Takes what the replica knows in an outage: the session ends then at the latest.
    if (!('digest' in found)) return untilIdleMs
    const lives = await sessions.readLives([found.digest]).catch(noneInOutage)
    if (!lives) return untilIdleMs
    const [life] = lives
    return life?.kind === 'alive' ? Math.min(life.leftMs, absoluteMs) : undefined
  }

  return async function me(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const credential = cookies.readSession(raw, site)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found =
      credential &&
      credential !== 'ambiguous' &&
      (await sessions.find(credential, realmOf(site.host), { standIn, isUse: isUse(c) }))
    const left = found ? await leftMs(found) : undefined
    if (found && left !== undefined) {
      const facts = {
        expires_in: Math.max(0, Math.floor(left / 1000)),
        logout_url: addresses.logout(site),
        sessions_url: addresses.sessions(site),
        events_url: addresses.events(site),
      }
      const body = { ...claimsOf(found.session.identity, options.claims), ...facts }
      return json(200, body, requestIdOf(raw), [NO_STORE])
    }
    const body = {
      error: 'login_required',
      login_url: addresses.login(site, addresses.landing(site)),
    }
    return json(401, body, requestIdOf(raw), [
      NO_STORE,
      ['WWW-Authenticate', `Bearer realm="${site.host}"`],
    ])
  }
}

/** Returns whether the request counts as use: any but one whose only `slide` is `false`. */
function isUse(c: NodeContext): boolean {
  const values = c.req.queries('slide') ?? []
  return values.length !== 1 || values[0] !== 'false'
}

/**
 * Leaves out claims that only conditions compare. Puts our own members last, so that no claim named by IDENTITY_HEADERS
 * replaces one of them.
 */
function claimsOf(identity: Identity, shown: readonly string[]): Record<string, unknown> {
  return {
    ...Object.fromEntries(
      Object.entries(identity.claims).filter(([claim]) => shown.includes(claim)),
    ),
    iss: identity.issuer,
    sub: identity.subject,
    email: identity.email,
    preferred_username: identity.preferredUsername,
    name: identity.name,
    groups: identity.groups,
  }
}

function noneInOutage(error: unknown): undefined {
  if (error instanceof OutageError) return undefined
  throw error
}
