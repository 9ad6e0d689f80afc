import { parseReturnTo, type ReturnToOptions } from '../../core/return-to.ts'
import type { Site } from '../../core/site.ts'
import type { KeyRing, SealContext } from '../../crypto/key-ring.ts'
import type { Addresses } from '../../http/addresses.ts'
import type { Ending } from '../../session/end-session.ts'

/** Facts about a sign-out that come back with the browser from the provider. */
export interface SignOutState {
  readonly ending: Ending
  /** Absolute URL to go on to. */
  readonly landingPage?: string
}

/** Pages that a sign-out may lead to (threat A49). */
export interface LandingPages {
  /** Returns the absolute URL, or `undefined` for a page that is not allowed. */
  allow(asked: string, site: Site): string | undefined
  /** Returns the `state` that the provider sends back (OpenID Connect RP-Initiated Logout 1.0 section 3). */
  sealState(state: SignOutState, site: Site): string
  /** Returns `undefined` for a state that is not ours. It has no expiry, because it holds no secret and has no effect. */
  openState(sealed: string, site: Site): SignOutState | undefined
}

export interface LandingPageOptions {
  readonly addresses: Addresses
  readonly returnTo: ReturnToOptions
  /** Further allowed pages beside the protected hosts, compared as whole URLs. */
  readonly postLogoutRedirectUris: readonly string[]
  readonly ring: KeyRing
}

const PENDING_FLAG = 1
/** Bounds the provider's sign-out address, which carries the sealed page beside an ID token. */
const MAX_PAGE_CHARS = 2048

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
    const page = asked.length > MAX_PAGE_CHARS ? undefined : parseReturnTo(asked, site, returnTo)
    return page === undefined || page.length > MAX_PAGE_CHARS ? undefined : page
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
      // Checks the page again, because settings may have changed meanwhile.
      const landingPage = allow(opened.toString('utf8', 1), site)
      return { ending, ...(landingPage !== undefined && { landingPage }) }
    },
  }
}
