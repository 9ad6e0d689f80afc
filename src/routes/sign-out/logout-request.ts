import type { Addresses } from '../../http/addresses.ts'
import { isForm, type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import type { Log } from '../../telemetry/log.ts'
import type { LandingPages } from './landing-pages.ts'

/** What a sign-out may ask for, in its address or in its form. */
export interface SignOutRequest {
  readonly token: string | undefined
  /** Where to go on to, if that is allowed. */
  readonly landingPage?: string
  /** Leaves the session at the provider as it is. */
  readonly isLocal: boolean
}

export interface SignOutReaderOptions {
  readonly addresses: Addresses
  readonly landingPages: LandingPages
  readonly log: Log
}

/** Reads what a sign-out asks for, in its address and in its form. */
export function createSignOutReader({ addresses, landingPages, log }: SignOutReaderOptions) {
  /** One that is refused does not keep anybody signed in. */
  function readLandingPage(c: NodeContext, asked: ReadonlySet<string>): string | undefined {
    const site = c.get('site')
    const [first] = asked
    if (first === undefined || first === addresses.signedOut(site)) return undefined
    const landingPage = asked.size === 1 ? landingPages.allow(first, site) : undefined
    if (landingPage === undefined) {
      const raw = c.env.incoming
      const about = { host: site.host, request_id: requestIdOf(raw), ...traceOf(raw) }
      log.warn(
        { event: 'suspicious_return_to', ...about },
        'a page to go on to after a sign-out was refused',
      )
    }
    return landingPage
  }

  return async (c: NodeContext): Promise<SignOutRequest> => {
    const form = await readForm(c)
    const carriers = [new URL(c.req.url).searchParams, form]
    const asked = carriers.flatMap((carrier) => [
      ...carrier.getAll('rd'),
      ...carrier.getAll('post_logout_redirect_uri'),
    ])
    const landingPage = readLandingPage(c, new Set(asked.filter((each) => each !== '')))
    return {
      token: form.get('token') ?? undefined,
      isLocal: carriers.some((carrier) => carrier.get('local') === 'true'),
      ...(landingPage !== undefined && { landingPage }),
    }
  }
}

/** The form of a page; a body of any other kind says nothing. */
async function readForm(c: NodeContext): Promise<URLSearchParams> {
  return new URLSearchParams(isForm(c.env.incoming) ? await c.req.text() : '')
}
