import type { Addresses } from '../../http/addresses.ts'
import { isForm, type NodeContext, requestIdOf, traceOf } from '../../http/request.ts'
import type { Log } from '../../telemetry/log.ts'
import type { LandingPages } from './landing-pages.ts'

/** Parameters of a sign-out, from its query or its form. */
export interface SignOutRequest {
  readonly token: string | undefined
  /** Page to go on to; absent where none was asked for or it is not allowed. */
  readonly landingPage?: string
  /** Leaves the session at the provider untouched. */
  readonly isLocal: boolean
}

export interface SignOutReaderOptions {
  readonly addresses: Addresses
  readonly landingPages: LandingPages
  readonly log: Log
}

/** Creates the reader of a sign-out's query and form. */
export function createSignOutReader({ addresses, landingPages, log }: SignOutReaderOptions) {
  /** Returns `undefined` for a refused page, because the sign-out itself still happens. */
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
        'the landing page of a sign-out was refused: it is not allowed',
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

/** Reads a form; a body of any other media type is ignored. */
async function readForm(c: NodeContext): Promise<URLSearchParams> {
  return new URLSearchParams(isForm(c.env.incoming) ? await c.req.text() : '')
}
