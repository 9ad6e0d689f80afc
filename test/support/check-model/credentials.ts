import type { AskedSite } from './faults.ts'
import { type Demand, permits } from './rules.ts'
import { cookieNamed, type Headers } from './sent-headers.ts'
import type { KnownSession, KnownToken, Person, World } from './world.ts'

type SignIn = Demand & { readonly kind: 'sign-in' }

/** Outcome of the credentials of a request. */
export type Finding =
  | {
      readonly kind: 'person'
      readonly person: Person
      readonly isPermitted: boolean
      readonly by: 'session' | 'token' | 'stand-in'
    }
  | { readonly kind: 'nobody' | 'ambiguous' | 'unavailable' }
  | BadToken

export interface BadToken {
  readonly kind: 'bad-token'
  readonly status: 401 | 403
  readonly error: string
  readonly scopes?: string
}

/** Takes a token as the only credential where the rules take tokens and one was sent, else the session's cookie. */
export function findCredential(
  demand: SignIn,
  headers: Headers,
  site: AskedSite,
  world: World,
): Finding {
  const scheme = demand.bearers.length > 0 ? tokenScheme(headers) : undefined
  if (scheme) {
    const isUnsure =
      world.isStoreAway && demand.deniesDegraded && presentedToken(headers) !== undefined
    return isUnsure ? { kind: 'unavailable' } : ofToken(demand, headers, scheme, world)
  }
  if (demand.isOneTime) return { kind: 'bad-token', status: 401, error: 'token_required' }
  return ofCookie(demand, headers, site, world)
}

/** Returns the scheme of a token in any `Authorization`; the last one counts where they differ. */
export function tokenScheme({ all }: Headers): 'Bearer' | 'DPoP' | undefined {
  const schemes = all('authorization').flatMap((value) => {
    const [, name = ''] = /^(bearer|dpop)(?![\w!#$%&'*+.^`|~-])/i.exec(value) ?? []
    return name === ''
      ? []
      : [name.toLowerCase() === 'dpop' ? ('DPoP' as const) : ('Bearer' as const)]
  })
  return schemes.at(-1)
}

const INVALID: BadToken = { kind: 'bad-token', status: 401, error: 'invalid_token' }

/** Returns what stands behind the scheme in the one `Authorization`, where it has the form of a token. */
function presentedToken({ all }: Headers): string | undefined {
  const [value = '', ...others] = all('authorization')
  const [, token] = /^[a-z]+ +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(value) ?? []
  return others.length === 0 && value.length <= 16_384 ? token : undefined
}

function ofToken(demand: SignIn, headers: Headers, scheme: string, world: World): Finding {
  const token = world.tokens.get(presentedToken(headers) ?? '')
  if (!token) return INVALID
  if (scheme === 'DPoP') {
    return token.isBound ? { ...INVALID, error: 'invalid_dpop_proof' } : INVALID
  }
  return token.isBound ? INVALID : ofValidToken(demand, token)
}

function ofValidToken({ bearers, rules, isOneTime }: SignIn, token: KnownToken): Finding {
  const { person, audience, scopes, lifeSeconds } = token
  if (isOneTime && lifeSeconds > 600) return INVALID
  if (!bearers.every(({ audiences }) => audiences.includes(audience))) return INVALID
  const wanted = bearers.flatMap((bearer) => bearer.scopes ?? [])
  if (!wanted.every((scope) => scopes.includes(scope))) {
    const asked = [...new Set(wanted)].join(' ')
    return { kind: 'bad-token', status: 403, error: 'insufficient_scope', scopes: asked }
  }
  if (permits(rules, person)) return { kind: 'person', person, isPermitted: true, by: 'token' }
  return { kind: 'bad-token', status: 403, error: 'forbidden' }
}

/** Returns the name of a shared cookie: session or assertion. */
export function cookieName({ scheme }: AskedSite, { cookieDomain }: World, base: string): string {
  if (scheme === 'http') return base
  return `${cookieDomain === undefined ? '__Host-' : '__Secure-'}${base}`
}

function ofCookie(demand: SignIn, { value }: Headers, site: AskedSite, world: World): Finding {
  const sent = cookieNamed(value('cookie'), cookieName(site, world, 'vestibule'))
  if (sent === undefined) return { kind: 'nobody' }
  if (sent === 'ambiguous') return { kind: 'ambiguous' }
  const isCredential = /^v1\.[\w-]{43}\.[\w-]{43}$/.test(sent)
  if (!isCredential) return { kind: 'nobody' }
  const session = world.sessions.get(sent)
  const isHere = session && (world.cookieDomain !== undefined || session.host === site.host)
  const known = ({ person }: KnownSession, by: 'session' | 'stand-in'): Finding => {
    return { kind: 'person', person, isPermitted: permits(demand.rules, person), by }
  }
  if (!world.isStoreAway) {
    return isHere ? known(session, 'session') : { kind: 'nobody' }
  }
  const assertion = cookieNamed(value('cookie'), cookieName(site, world, 'vestibule_outage'))
  const isKnown = !world.unseen.has(sent) || (assertion && world.assertions.get(sent) === assertion)
  if (!isHere || !isKnown || demand.deniesDegraded) return { kind: 'unavailable' }
  return known(session, 'stand-in')
}
