import type { IncomingMessage } from 'node:http'
import type { Next } from 'hono'
import type { Site, Sites } from '../../core/site.ts'
import { AuthError } from '../../errors.ts'
import { answer } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'

/** Pages that may read the events of a session: those of the address's own origin and of protected hosts. */
export interface CrossOrigin {
  /** Returns the site of the page that asks. Throws `AuthError` `foreign_origin` for any other page. */
  readonly pageOf: (raw: IncomingMessage, site: Site) => Site
  /** Lets the page read the answer, also where it is an error. */
  readonly share: (c: NodeContext, next: Next) => Promise<void>
  /** Answers the preflight that a browser sends before a request with `Last-Event-ID`. */
  readonly preflight: (c: NodeContext) => Response
}

/** Bounds the time for which browsers remember a preflight's answer; Chromium takes at most two hours. */
const PREFLIGHT_SECONDS = 7200

export function createCrossOrigin(protectedSites: Sites): CrossOrigin {
  function siteOf(origin: string, site: Site): Site | undefined {
    if (origin === site.origin) return site
    const host = URL.parse(origin)?.host
    const page = host === undefined ? undefined : protectedSites.find(host)
    return page?.origin === origin ? page : undefined
  }

  function pageOf({ headers }: IncomingMessage, site: Site): Site {
    const { origin } = headers
    const fetchSite = headers['sec-fetch-site']
    const isForeign = fetchSite === 'cross-site' || fetchSite === 'same-site'
    const page = origin === undefined ? !isForeign && site : siteOf(origin, site)
    if (page) return page
    throw new AuthError('foreign_origin', 'a page of another origin asked for events', {
      facts: {
        origin: (origin !== undefined && URL.parse(origin)?.origin) || 'null',
        setting: 'PROTECTED_HOSTS',
      },
    })
  }

  return {
    pageOf,
    async share(c, next) {
      const { origin } = c.env.incoming.headers
      await next()
      const { headers } = c.res
      headers.append('Vary', 'Origin')
      if (origin === undefined || !siteOf(origin, c.get('site'))) return
      headers.set('Access-Control-Allow-Origin', origin)
      headers.set('Access-Control-Allow-Credentials', 'true')
      headers.set('Access-Control-Expose-Headers', 'Retry-After')
    },
    preflight(c) {
      pageOf(c.env.incoming, c.get('site'))
      return answer(204, null, [
        ['Access-Control-Allow-Methods', 'GET'],
        ['Access-Control-Allow-Headers', 'Last-Event-ID'],
        ['Access-Control-Max-Age', String(PREFLIGHT_SECONDS)],
      ])
    },
  }
}
