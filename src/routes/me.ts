import type { Identity } from '../core/identity.ts'
import type { Addresses } from '../http/addresses.ts'
import { json } from '../http/answers.ts'
import type { Cookies } from '../http/cookies.ts'
import { type NodeContext, requestIdOf } from '../http/request.ts'
import type { Sessions } from '../session/sessions.ts'

export interface MeOptions {
  readonly addresses: Addresses
  readonly cookies: Cookies
  readonly sessions: Sessions
  readonly realmOf: (host: string) => string
}

const NO_STORE = ['Cache-Control', 'no-cache, no-store, must-revalidate'] as const

/** Serves `GET BASE_PATH/me`: the signed-in user's claims as JSON, or 401 without a session. */
export function createMe({ addresses, cookies, sessions, realmOf }: MeOptions) {
  return async function me(c: NodeContext): Promise<Response> {
    const raw = c.env.incoming
    const site = c.get('site')
    const credential = cookies.readSession(raw, site)
    const standIn = { assertion: () => cookies.readOutage(raw, site) }
    const found =
      credential &&
      credential !== 'ambiguous' &&
      (await sessions.find(credential, realmOf(site.host), { standIn }))
    if (found) return json(200, claimsOf(found.session.identity), requestIdOf(raw), [NO_STORE])
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

function claimsOf(identity: Identity): Record<string, unknown> {
  return {
    iss: identity.issuer,
    sub: identity.subject,
    email: identity.email,
    preferred_username: identity.preferredUsername,
    name: identity.name,
    groups: identity.groups,
    ...identity.claims,
  }
}
