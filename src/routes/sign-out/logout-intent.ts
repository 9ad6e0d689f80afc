import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { formatSessionCookie, type SessionCredential } from '../../core/session.ts'
import type { Site, Sites } from '../../core/site.ts'
import type { KeyRing } from '../../crypto/key-ring.ts'
import type { Addresses } from '../../http/addresses.ts'

/** Distinguishes a user's own sign-out from one that another site triggers (threat A67). */
export interface LogoutIntent {
  /** Returns whether the request comes from a page of ours or of a protected host, or has the confirm page's token. */
  isIntended(
    raw: IncomingMessage,
    site: Site,
    credential: SessionCredential | undefined,
    token: string | undefined,
  ): boolean
  /** Returns the token of the confirm page, which differs for each session. */
  confirmToken(credential: SessionCredential | undefined): string
}

export interface LogoutIntentOptions {
  readonly addresses: Addresses
  readonly knownSites: Sites
  readonly ring: KeyRing
}

export function createLogoutIntent(options: LogoutIntentOptions): LogoutIntent {
  const { addresses, knownSites, ring } = options

  function isOurs(origin: string, site: Site): boolean {
    const host = URL.parse(origin)?.host
    if (host === undefined) return false
    return origin === addresses.home(site).origin || knownSites.find(host)?.origin === origin
  }

  function confirmToken(credential: SessionCredential | undefined): string {
    const session = credential ? formatSessionCookie(credential) : ''
    return createHmac('sha256', ring.derive('logout-confirm')).update(session).digest('base64url')
  }

  return {
    isIntended({ headers }, site, credential, token) {
      if (headers['sec-fetch-site'] === 'same-origin') return true
      if (headers.origin !== undefined && isOurs(headers.origin, site)) return true
      return (
        credential !== undefined && token !== undefined && isEqual(token, confirmToken(credential))
      )
    },
    confirmToken,
  }
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
