import { parseReturnTo, type ReturnToOptions } from '../../core/return-to.ts'
import type { Site } from '../../core/site.ts'
import type { KeyRing, SealContext } from '../../crypto/key-ring.ts'
import type { Addresses } from '../../http/addresses.ts'
import type { Ending } from '../../session/end-session.ts'

/** What our own page has to know of a sign-out when the browser is back from the provider. */
export interface SignOutState {
  readonly ending: Ending
  /** Where to go on to; absolute. */
  readonly landingPage?: string
}

/** Where sign-outs lead in the end (threat A49). */
export interface LandingPages {
  /** The address to emit, or nothing where a sign-out must not lead. */
  allow(asked: string, site: Site): string | undefined
  /** The `state` that comes back from the provider (OpenID Connect RP-Initiated Logout 1.0 section 3). */
  sealState(state: SignOutState, site: Site): string
  /** Nothing for a state that is not ours. It says nothing secret and does nothing, so it may come back at any time. */
  openState(sealed: string, site: Site): SignOutState | undefined
}

export interface LandingPageOptions {
  readonly addresses: Addresses
  readonly returnTo: ReturnToOptions
  /** Where a sign-out may lead beside the protected hosts: exactly there. */
  readonly postLogoutRedirectUris: readonly string[]
  readonly ring: KeyRing
}

const PENDING_FLAG = 1

export function createLandingPages(options: LandingPageOptions): LandingPages {
  const { addresses, returnTo, ring } = options
  const furtherPages = new Set(options.postLogoutRedirectUris)
  const context = (site: Site): SealContext => ({
    purpose: 'logout-state',
    name: '',
    realm: addresses.home(site).origin,
  })

  function allow(asked: string, site: Site): string | undefined {
    if (furtherPages.has(asked)) return new URL(asked).href
    return parseReturnTo(asked, site, returnTo)
  }

  return {
    allow,

    sealState({ ending, landingPage = '' }, site) {
      const flags = Buffer.of(ending === 'pending' ? PENDING_FLAG : 0)
      const sealed = ring.seal(Buffer.concat([flags, Buffer.from(landingPage)]), context(site))
      return sealed.toString('base64url')
    },

    openState(sealed, site) {
      if (!/^[A-Za-z0-9_-]+$/.test(sealed)) return undefined
      const opened = ring.open(Buffer.from(sealed, 'base64url'), context(site))
      if (!opened) return undefined
      const ending = opened[0] === PENDING_FLAG ? 'pending' : 'done'
      // Looked at again, since the configuration may have changed meanwhile.
      const landingPage = allow(opened.toString('utf8', 1), site)
      return { ending, ...(landingPage !== undefined && { landingPage }) }
    },
  }
}
